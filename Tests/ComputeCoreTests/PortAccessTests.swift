import ComputeCore
import FoundationEssentials
import Testing

struct PortAccessTests {
    private func changes(_ text: String) throws -> PortChanges {
        guard case .object(let fields) = try JSONDocument.parse(Array(text.utf8)) else {
            throw Problem(status: 400, code: .invalidRequest, message: "no object")
        }
        return try PortChanges(fields, prefix: "ports")
    }

    private let shut = PortAccess(usual: .private, ports: [3000: .public])

    @Test func entriesAreSetAndRemovedOneByOne() throws {
        let access = try changes(#"{"default":{"visibility":"private"},"3000":{"visibility":"public"}}"#).applied(
            to: .open)
        #expect(access == shut && access.isPrivate(80) && !access.isPrivate(3000))
        #expect(
            try changes(#"{"80":{"visibility":"private"},"3000":null}"#).applied(to: access)
                == PortAccess(usual: .private, ports: [80: .private]))
        #expect(try changes(#"{"default":null}"#).applied(to: access) == PortAccess(ports: [3000: .public]))
        #expect(try changes("{}").applied(to: access) == access)
        #expect(!PortAccess.open.isPrivate(65535))
    }

    @Test(arguments: [
        (#"{"0":{"visibility":"public"}}"#, "ports.0", Problem.Code.invalidRequest),
        (#"{"65536":{"visibility":"public"}}"#, "ports.65536", .invalidRequest),
        (#"{"080":{"visibility":"public"}}"#, "ports.080", .invalidRequest),
        (#"{"+80":{"visibility":"public"}}"#, "ports.+80", .invalidRequest),
        (#"{"http":{"visibility":"public"}}"#, "ports.http", .invalidRequest),
        (#"{"":{"visibility":"public"}}"#, "ports.", .invalidRequest),
        (#"{"80":"private"}"#, "ports.80", .invalidRequest), (#"{"80":{}}"#, "ports.80.visibility", .invalidRequest),
        (#"{"80":{"visibility":"secret"}}"#, "ports.80.visibility", .invalidRequest),
        (#"{"80":{"visibility":true}}"#, "ports.80.visibility", .invalidRequest),
        (#"{"80":{"visibility":"public","token":"x"}}"#, "ports.80.token", .unsupportedField),
        (#"{"default":{"visible":true}}"#, "ports.default.visible", .unsupportedField),
    ])
    func aFaultIsNamedByItsPlace(_ text: String, _ field: String, _ code: Problem.Code) {
        let problem = #expect(throws: Problem.self) { try changes(text) }
        #expect(problem?.field == field && problem?.code == code, "\(problem?.message ?? "")")
    }

    @Test func whatIsReadIsWrittenAndReadAgain() throws {
        for access in [.open, shut, PortAccess(ports: [1: .private, 65535: .public])] {
            #expect(try JSONDecoder().decode(PortAccess.self, from: JSONEncoder().encode(access)) == access)
        }
        let future: [String: JSONValue] = ["80": .object(["visibility": .string("private"), "since": .int(1)])]
        #expect(try PortAccess(recorded: future) == PortAccess(ports: [80: .private]))
    }
}
