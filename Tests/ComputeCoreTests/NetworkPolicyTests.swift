import ComputeCore
import FoundationEssentials
import Testing

struct NetworkPolicyTests {
    @Test(arguments: [
        ("203.0.113.7", "203.0.113.7"), ("203.0.113.7/32", "203.0.113.7"), ("0.0.0.0/0", "0.0.0.0/0"),
        ("198.51.100.0/24", "198.51.100.0/24"), ("::", "::"), ("::/0", "::/0"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8::/32", "2001:db8::/32"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
    ])
    func aBlockIsReadAndWrittenInOneWay(_ text: String, _ canonical: String) throws {
        let block = try IPBlock(text)
        #expect(block.description == canonical)
        #expect(try IPBlock(canonical) == block)
    }

    @Test(arguments: [
        "", "/", "/8", "1.2.3", "1.2.3.4.5", "1.2.3.04", "256.1.1.1", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/08",
        "1.2.3.4/+8",
        "1.2.3.4/-1", "1.2.3.4/8/8", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4\0", "1.2.3.4\0/8", "1", "fe80::1%2",
        "::1/129", ":::", "1::2::3", "::ffff:1.2.3.4", "::ffff:1.2.3.0/120", "1.2.3.4:80", "[::1]", "1.2.3.4-9",
        "1,2,3,4", "1.2.3.4,5.6.7.8", "１.2.3.4",
    ])
    func whatIsNoAddressIsNone(_ text: String) {
        #expect(throws: IPBlock.Fault.notAnAddress) { try IPBlock(text) }
    }

    @Test(arguments: [
        "example.com", "*.example.com", "localhost", "0x7f.1", "*", "https://example.com", "example.com:443", "a",
        "xn--nxasmq6b",
        "fe80::1%eth0", "github.com/24",
    ])
    func aHostsNameIsKnownForOne(_ text: String) {
        #expect(throws: IPBlock.Fault.name) { try IPBlock(text) }
    }

    @Test(arguments: [
        ("10.0.0.1/8", "10.0.0.0/8"), ("203.0.113.7/31", "203.0.113.6/31"), ("1.2.3.4/0", "0.0.0.0/0"),
        ("2001:db8::1/64", "2001:db8::/64"), ("::ffff:1.2.3.4/64", "::/64"),
    ])
    func bitsBeyondTheLengthAreAMistake(_ text: String, _ block: String) {
        #expect(throws: IPBlock.Fault.hasHostBits(block)) { try IPBlock(text) }
    }

    @Test func blocksContainEachOther() throws {
        func contains(_ one: String, _ other: String) throws -> Bool { try IPBlock(one).contains(try IPBlock(other)) }
        #expect(try contains("10.0.0.0/8", "10.255.0.0/16") && contains("10.0.0.0/8", "10.0.0.0/8"))
        #expect(try !contains("10.0.0.0/8", "11.0.0.0/8") && !contains("10.0.0.0/16", "10.0.0.0/8"))
        #expect(try contains("0.0.0.0/0", "255.255.255.255") && !contains("0.0.0.0/0", "::1"))
        #expect(try contains("::/0", "ffff::1") && contains("2001:db8::/33", "2001:db8:7fff::1"))
        #expect(try !contains("2001:db8::/33", "2001:db8:8000::"))
        let blocks = try ["10.1.0.0/16", "1.2.3.4", "10.0.0.0/8", "10.0.0.0/8", "::/0", "2001:db8::1"].map {
            try IPBlock($0)
        }
        #expect(Set(IPBlock.disjoint(blocks).map(\.description)) == ["10.0.0.0/8", "1.2.3.4", "::/0"])
    }

    @Test func whatIsNotTheInternetIsKnown() throws {
        for text in [
            "127.0.0.1", "10.9.8.7", "169.254.169.254", "168.63.129.16", "::1", "fd00::1", "fe80::1", "ff02::1",
            "64:ff9b::1",
        ] {
            let block = try IPBlock(text)
            #expect(IPBlock.notInternet.contains { $0.contains(block) }, "\(text)")
        }
        for text in ["1.1.1.1", "168.63.129.15", "168.63.129.17", "2606:4700::1111", "0.0.0.0/0", "::/0"] {
            let block = try IPBlock(text)
            #expect(!IPBlock.notInternet.contains { $0.contains(block) }, "\(text)")
        }
        #expect(IPBlock.notInternet.count == 16, "each of them is written rightly")
    }

    // MARK: - Orders

    private func policy(_ text: String) throws -> NetworkPolicy {
        guard case .object(let fields) = try JSONDocument.parse(Array(text.utf8)) else {
            throw Problem(status: 400, code: .invalidRequest, message: "no object")
        }
        return try NetworkPolicy(fields, prefix: "network")
    }

    @Test(arguments: [
        (#"{"internet":"no"}"#, "network.internet", Problem.Code.invalidRequest),
        (#"{"allowOut":"1.2.3.4"}"#, "network.allowOut", .invalidRequest),
        (#"{"denyOut":["1.2.3.4",5]}"#, "network.denyOut[1]", .invalidRequest),
        (#"{"denyOut":[null]}"#, "network.denyOut[0]", .invalidRequest),
        (#"{"internet":false,"allowOut":["1.2.3.4","5.6.7.8","x.example"]}"#, "network.allowOut[2]", .unsupportedField),
        (#"{"denyOut":["*.example"]}"#, "network.denyOut[0]", .unsupportedField),
        (#"{"internet":false,"allowOut":["1.2.3.4/8"]}"#, "network.allowOut[0]", .invalidRequest),
        (#"{"internet":false,"allowOut":["8.8.8.8","169.254.169.254"]}"#, "network.allowOut[1]", .invalidRequest),
        (#"{"internet":false,"allowOut":["168.63.129.16"]}"#, "network.allowOut[0]", .invalidRequest),
        (#"{"internet":false,"allowOut":["10.0.0.0/8"]}"#, "network.allowOut[0]", .invalidRequest),
        (#"{"internet":false,"allowOut":["fd12::/16"]}"#, "network.allowOut[0]", .invalidRequest),
        (#"{"allowOut":["1.2.3.4"]}"#, "network.allowOut", .invalidRequest),
        (#"{"internet":true,"allowOut":["1.2.3.4"],"denyOut":[]}"#, "network.allowOut", .invalidRequest),
        (#"{"allowPublicTraffic":false}"#, "network.allowPublicTraffic", .unsupportedField),
        (#"{"allow_out":[]}"#, "network.allow_out", .unsupportedField),
    ])
    func aFaultIsNamedByItsPlace(_ text: String, _ field: String, _ code: Problem.Code) {
        let problem = #expect(throws: Problem.self) { try policy(text) }
        #expect(problem?.field == field && problem?.code == code && problem?.status == 400, "\(problem?.message ?? "")")
        #expect(problem?.message.hasPrefix(field) == true)
    }

    @Test func listsAreBounded() throws {
        func list(_ count: Int) -> String {
            (0..<count).map { #""1.2.\#($0 / 256).\#($0 % 256)""# }.joined(separator: ",")
        }
        #expect(try policy("{\"denyOut\":[\(list(256))]}").denyOut.count == 256)
        for name in ["allowOut", "denyOut"] {
            let problem = #expect(throws: Problem.self) {
                try policy("{\"internet\":false,\"\(name)\":[\(list(257))]}")
            }
            #expect(problem?.field == "network.\(name)")
        }
    }

    @Test(arguments: [
        "{}", #"{"internet":true}"#, #"{"internet":null,"allowOut":null,"denyOut":[]}"#,
        #"{"internet":true,"allowOut":[]}"#,
    ])
    func whatNarrowsNothingIsOpen(_ text: String) throws {
        #expect(try policy(text) == .open && policy(text).isOpen)
    }

    @Test(arguments: [
        #"{"internet":false}"#, #"{"internet":false,"allowOut":["1.2.3.4","2001:db8::/32"]}"#,
        #"{"allowOut":["1.2.3.0/24"],"denyOut":["0.0.0.0/0","::/0"]}"#, #"{"denyOut":["10.0.0.0/8"]}"#,
    ])
    func whatIsReadIsWrittenAndReadAgain(_ text: String) throws {
        let read = try policy(text)
        #expect(!read.isOpen)
        guard case .object(let document) = read.document else { return #expect(Bool(false)) }
        #expect(try NetworkPolicy(document, prefix: "network") == read)
        let future = document.merging(["fromTheFuture": .int(1)]) { $1 }
        #expect(try NetworkPolicy(recorded: FieldReader(future)) == read)
        #expect(try JSONDecoder().decode(NetworkPolicy.self, from: JSONEncoder().encode(read)) == read)
    }
}
