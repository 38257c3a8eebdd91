import ComputeCore
import ComputeDomain
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization
import Testing
import WebhookClient

struct DestinationRulesTests {
    private func allows(_ address: IPAddress, by rules: DestinationRules = DestinationRules()) async -> Bool {
        await rules.allowed(of: [address]) == [address]
    }

    @Test(arguments: [
        "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1",
        "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1",
        "2001:db8::1", "2002:7f00:1::1", "3fff::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1",
        "5f00::1", "168.63.129.16",
    ])
    func whatIsNotOnThePublicInternetIsRefused(_ text: String) async throws {
        #expect(!(await allows(try #require(IPAddress(text)))))
    }

    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.1",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888",
    ])
    func whatIsOnItMayBeDialled(_ text: String) async throws {
        #expect(await allows(try #require(IPAddress(text))))
    }

    /// A public address is dialled from outside by everybody, and from this machine by whoever has a webhook: what listens
    /// there may take the latter for a neighbour.
    @Test(arguments: ["1.1.1.1", "2606:4700::1111"]) func thisMachinesOwnAddressIsRefusedAlsoWhereItIsPublic(
        _ text: String
    ) async throws {
        let address = try #require(IPAddress(text))
        #expect(!(await allows(address, by: DestinationRules(own: { [address] }))))
        #expect(await allows(try #require(IPAddress("8.8.8.8")), by: DestinationRules(own: { [address] })))
        let listed = [try #require(IPNetwork("0.0.0.0/0")), try #require(IPNetwork("::/0"))]
        #expect(
            !(await allows(address, by: DestinationRules(allowed: listed, own: { [address] }))), "whatever is listed")
    }

    /// `10.0.0.0/8` is what an operator lists who has receivers there, and what sandboxes may have their subnet of.
    @Test func whatIsListedOpensNeitherThisMachineNorTheSandboxes() async throws {
        let own = try #require(IPAddress("10.1.2.3"))
        let subnet = try #require(IPNetwork("10.77.0.0/22"))
        let rules = DestinationRules(
            allowed: [try #require(IPNetwork("10.0.0.0/8")), try #require(IPNetwork("::/0"))], own: { [own] },
            sandboxes: { [subnet] })
        for (text, allowed) in [
            ("10.1.2.3", false), ("10.1.2.4", true), ("10.77.0.1", false), ("10.77.3.255", false), ("10.77.4.0", true),
            ("10.76.255.255", true), ("::ffff:10.1.2.3", false), ("::ffff:10.77.0.2", false), ("::", false),
            ("::1", false), ("fd00::1", true),
        ] {
            #expect(await allows(try #require(IPAddress(text)), by: rules) == allowed, "\(text)")
        }
    }

    @Test(arguments: [
        ("0.0.0.0/0", false), ("126.0.0.0/7", false), ("127.0.0.0/8", true), ("127.0.0.1/32", true),
    ]) func loopbackIsOpenOnlyToWhomItIsListedAlone(_ listed: String, _ allowed: Bool) async throws {
        let loopback = try #require(IPAddress("127.0.0.1"))
        let rules = DestinationRules(allowed: [try #require(IPNetwork(listed))], own: { [loopback] })
        #expect(await allows(loopback, by: rules) == allowed)
        #expect(!(await allows(try #require(IPAddress("0.0.0.0")), by: rules)))
    }

    @Test func theNetworksOfInterfacesAreFoundByTheirName() async throws {
        #expect(await IPNetwork.ofInterfaces(named: "lo")?.contains { $0.contains(IPAddress("127.7.7.7")!) } == true)
        #expect(await IPNetwork.ofInterfaces(named: "none-of-ours")?.isEmpty == true)
    }

    @Test func theAddressesOfThisMachineAreKnown() async throws {
        #expect(await IPAddress.ofThisMachine()?.contains(try #require(IPAddress("127.0.0.1"))) == true)
    }

    /// A kernel that does not answer must not make this machine look like the internet.
    @Test func whileNobodyKnowsWhatIsOnThisMachineNothingElseIsDialled() async throws {
        let (near, far) = (try #require(IPAddress("10.1.2.3")), try #require(IPAddress("8.8.8.8")))
        let allowed = [try #require(IPNetwork("10.1.0.0/16"))]
        #expect(await DestinationRules(allowed: allowed, own: { nil }).allowed(of: [far, near]).isEmpty)
        #expect(await DestinationRules(allowed: allowed, sandboxes: { nil }).allowed(of: [far, near]).isEmpty)
    }

    @Test func thisMachineIsAskedOnceForAllAddressesOfAHost() async throws {
        let asked = Mutex(0)
        let rules = DestinationRules(own: {
            asked.withLock { $0 += 1 }
            return []
        })
        let addresses = ["8.8.8.8", "10.0.0.1", "1.1.1.1", "2606:4700::1111"].compactMap { IPAddress($0) }
        #expect(await rules.allowed(of: addresses) == [addresses[0], addresses[2], addresses[3]])
        #expect(asked.withLock { $0 } == 1)
    }

    @Test func anOperatorMayListNetworksOfTheirOwn() async throws {
        let rules = DestinationRules(allowed: [
            try #require(IPNetwork("10.1.0.0/16")), try #require(IPNetwork("fd00::/8")),
        ])
        for (text, allowed) in [
            ("10.1.2.3", true), ("10.2.0.1", false), ("fd00::1", true), ("fc00::1", false), ("127.0.0.1", false),
        ] {
            #expect(await allows(try #require(IPAddress(text)), by: rules) == allowed, "\(text)")
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "x/8", "fd00::/129", "10.0.0.0/8/8", ""] {
            #expect(IPNetwork(text) == nil, "\(text)")
        }
        #expect(IPNetwork("0.0.0.0/0")?.contains(try #require(IPAddress("8.8.8.8"))) == true)
    }
}

/// A name server that changes its mind.
private final class Rebinding: HostResolver {
    private let answers: Mutex<[[String]]>
    init(_ answers: [[String]]) { self.answers = Mutex(answers) }

    func addresses(of host: String) async throws -> [IPAddress] {
        answers.withLock { answers in
            let now = answers.count > 1 ? answers.removeFirst() : answers.first ?? []
            return now.compactMap { IPAddress($0) }
        }
    }
}

private actor Requests {
    var all: [(path: String, headers: HTTPFields, body: String)] = []
    func add(_ path: String, _ headers: HTTPFields, _ body: String) { all.append((path, headers, body)) }
}

struct HTTPWebhookSenderTests {
    private let message = WebhookMessage(
        id: "abc.1", timestamp: WallTime(milliseconds: 1_800_000_000_000), signature: "v1,xyz", body: Array("{}".utf8))
    private static let loopback = DestinationRules(allowed: [IPNetwork("127.0.0.0/8")!])

    private func send(to url: String, by sender: HTTPWebhookSender) async throws -> Int {
        try await sender.send(message, to: try WebhookURL(url))
    }

    private func withReceiver(_ run: @Sendable @escaping (Int, Requests) async throws -> Void) async throws {
        let requests = Requests()
        let router = Router()
        router.post("/moved") { _, _ in Response(status: .found, headers: [.location: "http://127.0.0.1:1/"]) }
        router.post("/busy") { _, _ in Response(status: .serviceUnavailable) }
        router.post("/hook") { request, _ in
            let body = try await request.body.collect(upTo: 1 << 20)
            await requests.add("\(request.uri)", request.headers, String(buffer: body))
            return Response(status: .noContent)
        }
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let app = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { continuation.yield($0.localAddress?.port ?? 0) },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await app.run() }
            for await port in ports {
                try await run(port, requests)
                break
            }
            group.cancelAll()
        }
    }

    @Test func theAddressThatWasCheckedIsDialledUnderTheNameThatWasGiven() async throws {
        try await withReceiver { port, requests async throws in
            // No name server knows this one: only the checked address can lead there.
            let sender = HTTPWebhookSender(rules: Self.loopback, resolver: Rebinding([["127.0.0.1"]]))
            let status = try await sender.send(message, to: try WebhookURL("http://hooks.invalid:\(port)/hook?a=b"))
            #expect(status == 204)
            let request = try #require(await requests.all.first)
            #expect(request.path == "/hook?a=b" && request.body == "{}")
            for (name, value) in [
                ("webhook-id", "abc.1"), ("webhook-timestamp", "1800000000"), ("webhook-signature", "v1,xyz"),
                ("content-type", "application/json"),
            ] { #expect(request.headers[HTTPField.Name(name)!] == value, "\(name)") }
        }
    }

    @Test func aNameThatTurnsToAPrivateAddressIsNotDialled() async throws {
        try await withReceiver { port, requests async throws in
            let url = try WebhookURL("https://hooks.invalid:\(port)/hook")
            let sender = HTTPWebhookSender(
                rules: DestinationRules(), resolver: Rebinding([["1.1.1.1"], ["127.0.0.1"]]))
            #expect(await sender.refusal(of: url) == nil)
            let failure = await #expect(throws: WebhookFailure.self) { try await sender.send(message, to: url) }
            #expect(failure?.text.contains("public internet") == true)
            #expect(failure?.text.contains("127") == false)
            for host in ["127.0.0.1", "[::1]", "169.254.169.254", "0.0.0.0"] {
                #expect(await sender.refusal(of: try WebhookURL("https://\(host):\(port)/")) != nil, "\(host)")
            }
            #expect(await requests.all.isEmpty)
        }
    }

    /// What the C library takes for an address and a filter of names does not.
    @Test(arguments: ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost"])
    func otherSpellingsOfLoopbackAreNoWayIn(_ host: String) async throws {
        let sender = HTTPWebhookSender(rules: DestinationRules(), resolver: SystemResolver())
        let failure = await #expect(throws: WebhookFailure.self) {
            try await sender.send(message, to: try WebhookURL("https://\(host):1/"))
        }
        #expect(failure?.status == nil)
    }

    @Test func redirectsAreAnAnswerAndNotFollowed() async throws {
        try await withReceiver { port, requests async throws in
            let sender = HTTPWebhookSender(rules: Self.loopback, resolver: Rebinding([["127.0.0.1"]]))
            #expect(try await send(to: "http://h.invalid:\(port)/moved", by: sender) == 302)
            #expect(try await send(to: "http://h.invalid:\(port)/busy", by: sender) == 503)
            #expect(await requests.all.isEmpty)
        }
    }

    @Test func thePublicInternetIsOnlySpokenToOverTLS() async throws {
        let sender = HTTPWebhookSender(rules: Self.loopback, resolver: Rebinding([["1.1.1.1"]]))
        #expect(await sender.refusal(of: try WebhookURL("http://h.invalid/"))?.contains("https") == true)
        #expect(await sender.refusal(of: try WebhookURL("https://h.invalid/")) == nil)
    }

    @Test func anAddressThatIsDownIsFollowedByTheNext() async throws {
        try await withReceiver { port, _ async throws in
            let sender = HTTPWebhookSender(rules: Self.loopback, resolver: Rebinding([["127.0.0.2", "127.0.0.1"]]))
            #expect(try await send(to: "http://h.invalid:\(port)/hook", by: sender) == 204)
            let nobody = HTTPWebhookSender(rules: Self.loopback, resolver: Rebinding([[]]))
            #expect(await nobody.refusal(of: try WebhookURL("https://h.invalid/")) == nil, "not known yet")
            await #expect(throws: WebhookFailure.self) {
                try await nobody.send(message, to: try WebhookURL("http://h.invalid:\(port)/hook"))
            }
        }
    }
}
