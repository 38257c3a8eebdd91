import ComputeCore
import Testing

struct TraceContextTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let span = "00f067aa0ba902b7"

    @Test(arguments: [("00", false), ("01", true), ("02", false), ("03", true)])
    func whatTheStandardShowsIsRead(flags: String, isSampled: Bool) throws {
        let context = try #require(TraceContext("00-\(Self.trace)-\(Self.span)-\(flags)"))
        #expect((context.traceID, context.spanID, context.isSampled) == (Self.trace, Self.span, isSampled))
    }

    @Test func aLaterVersionIsReadAsFarAsItIsKnown() throws {
        let context = try #require(TraceContext("cc-\(Self.trace)-\(Self.span)-01-what-comes-later"))
        #expect(context.text == "00-\(Self.trace)-\(Self.span)-01")
    }

    @Test(arguments: [
        "", "00", "ff-\(trace)-\(span)-01", "00-\(trace)-\(span)-01-more", "00-\(trace)-\(span)",
        "0-\(trace)-\(span)-01",
        "00-\(trace.uppercased())-\(span)-01", "00-\(String(repeating: "0", count: 32))-\(span)-01",
        "00-\(trace)-\(String(repeating: "0", count: 16))-01", "00-\(trace)x-\(span)-01", "00-\(trace)-\(span)-0g",
        "00 \(trace) \(span) 01", "00-\(trace)-\(span)-1", "00-é\(trace.dropFirst(2))-\(span)-01",
    ])
    func whatIsNoneIsNotRead(text: String) {
        #expect(TraceContext(text) == nil)
    }

    @Test func aChildIsAnotherStepOfTheSameTrace() throws {
        let context = try #require(TraceContext("00-\(Self.trace)-\(Self.span)-01"))
        #expect(context.child.traceID == context.traceID && context.child.isSampled)
        #expect(context.child.spanID != context.spanID)
        #expect(TraceContext(context.child.text) != nil)
    }

    @Test func aNewOneIsLikeNoOther() {
        let (one, other) = (TraceContext.random(), TraceContext.random())
        #expect(one.traceID != other.traceID && one.spanID != other.spanID)
        #expect(TraceContext(one.text) == one)
    }
}
