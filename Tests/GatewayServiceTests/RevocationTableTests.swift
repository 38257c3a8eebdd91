import APIContract
import ComputeCore
import GatewayService
import NIOCore
import Testing

private let compute = ComputeID("abcdefgh12345678wxyz")!
private let t0 = WallTime(milliseconds: 1_800_000_000_000)

@Suite struct RevocationTableTests {
    private func record(_ id: SessionID, of computeID: ComputeID = compute, for seconds: Int = 60) -> SessionRecord {
        SessionRecord(sessionId: id, computeId: computeID, isRevoked: true, expiresAt: t0 + .seconds(seconds))
    }

    private func followed(_ capacity: Int = 10) -> RevocationTable {
        var table = RevocationTable(capacity: capacity)
        table.caughtUp()
        return table
    }

    @Test func silenceIsTrustedOnlyWhileTheFeedIsFollowed() {
        var table = RevocationTable()
        let id = SessionID.random()
        #expect(table.find(id) == .ask)
        table.caughtUp()
        #expect(table.find(id) == .good)
        table.feedLost()
        #expect(table.find(id) == .ask)
        table.caughtUp()
        #expect(table.find(id) == .good)
    }

    @Test func aRevocationHoldsWhateverBecomesOfTheFeed() {
        var table = RevocationTable()
        let id = SessionID.random()
        table.revoked(record(id), now: t0)
        #expect(table.find(id) == .revoked)
        table.caughtUp()
        table.feedLost()
        #expect(table.find(id) == .revoked)
    }

    @Test func whatIsOverNeedsNoPlace() {
        var table = followed()
        let (expired, short, long) = (SessionID.random(), SessionID.random(), SessionID.random())
        table.revoked(record(expired, for: 0), now: t0)
        table.revoked(record(short, for: 10), now: t0)
        table.revoked(record(long), now: t0)
        #expect(table.count == 2)
        table.forgetExpired(now: t0 + .seconds(10))
        #expect(table.find(short) == .good && table.find(long) == .revoked)
        table.ended([compute])
        #expect(table.count == 0)
        let active = SessionRecord(sessionId: long, computeId: compute, isRevoked: false, expiresAt: t0 + .seconds(9))
        table.revoked(active, now: t0)
        #expect(table.count == 0)
    }

    @Test func anOverflowMakesItAskAndForgetsNothing() {
        var table = followed(2)
        let ids = (0..<3).map { _ in SessionID.random() }
        table.revoked(record(ids[0], for: 10), now: t0)
        table.revoked(record(ids[1]), now: t0)
        // The first is over by now and makes room.
        table.revoked(record(ids[2]), now: t0 + .seconds(10))
        #expect(table.find(ids[2]) == .revoked && table.find(.random()) == .good)
        table.revoked(record(.random()), now: t0 + .seconds(10))
        #expect(table.count == 2 && table.find(ids[1]) == .revoked)
        #expect(table.find(.random()) == .ask)
    }
}

@Suite struct FrameBoundaryTests {
    /// Frames with every kind of length, masked and not, and how long each is.
    private static let frames: [[UInt8]] = [
        [0x81, 0], [0x88, 2, 3, 0xE8], [0x82, 125] + [UInt8](repeating: 0xFF, count: 125),
        [0x82, 126, 0, 126] + [UInt8](repeating: 1, count: 126), [0x01, 126, 0, 0], [0x80, 0x80, 1, 2, 3, 4],
        [0x89, 0x83, 9, 9, 9, 9, 1, 2, 3],
        [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0] + [UInt8](repeating: 0x88, count: 65_536),
    ]

    @Test func aBoundaryIsFoundHoweverTheBytesAreCut() {
        for frame in Self.frames {
            for cut in Set((0..<min(frame.count, 200)).map { $0 } + [frame.count - 1]) {
                var boundary = FrameBoundary()
                boundary.follow(ByteBuffer(bytes: frame[..<cut]))
                #expect(boundary.isBetweenFrames == (cut == 0), "\(cut) of \(frame.count)")
                boundary.follow(ByteBuffer(bytes: frame[cut...]))
                #expect(boundary.isBetweenFrames, "\(cut) of \(frame.count)")
            }
        }
        var boundary = FrameBoundary()
        for byte in Self.frames.dropLast().joined() { boundary.follow(ByteBuffer(bytes: [byte])) }
        #expect(boundary.isBetweenFrames)
        boundary.follow(ByteBuffer(bytes: Self.frames.joined()))
        #expect(boundary.isBetweenFrames)
    }

    @Test func anAbsurdLengthIsOnlyWaitedFor() {
        var boundary = FrameBoundary()
        boundary.follow(ByteBuffer(bytes: [0x82, 127] + [UInt8](repeating: 0xFF, count: 8)))
        boundary.follow(ByteBuffer(bytes: [UInt8](repeating: 0, count: 10_000)))
        #expect(!boundary.isBetweenFrames)
    }

    @Test func aCloseFrameIsAFrame() {
        let frame = FrameBoundary.close(1008, "over")
        #expect(Array(frame.readableBytesView) == [0x88, 6, 0x03, 0xF0] + Array("over".utf8))
        var boundary = FrameBoundary()
        boundary.follow(FrameBoundary.close(1008, String(repeating: "x", count: 500)))
        #expect(boundary.isBetweenFrames)
    }
}
