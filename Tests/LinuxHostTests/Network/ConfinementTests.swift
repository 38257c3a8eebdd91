import ComputeCore
import Foundation
import Glibc
import LinuxHost
import Testing

/// What single containers reach that may reach less than all, tried with real connections.
@Suite(
    .serialized, .timeLimit(.minutes(2)),
    .enabled(if: networksCanBeTested, "needs root, iproute2, nftables and the CNI plugins"))
struct ConfinementTests {
    private let both = [World.internet, World.elsewhere]

    private func block(_ text: String) throws -> IPBlock { try IPBlock(text) }

    /// Which of them a container reaches.
    private func reached(
        _ addresses: [String]? = nil, from namespace: String, _ server: NamespaceSocket
    ) throws -> Set<String> {
        Set(
            try (addresses ?? both).filter { address in
                let outcome = try NamespaceSocket.connect(from: namespace, to: address, port: server.port)
                // Its queue is short.
                if outcome == .connected { _ = server.accepted(patience: 0) }
                return outcome == .connected
            })
    }

    @Test func allowedWinsOverDeniedAndTheRestIsAsTheInternet() async throws {
        try await withWorld { _ in
            try await withNetwork { network in
                try await network.prepare()
                let inside = try await network.attach("a").namespacePath
                let other = try await network.attach("b").namespacePath
                let server = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0")
                let (here, there) = (World.internet, World.elsewhere)
                let rows: [(NetworkPolicy, Set<String>)] = [
                    (.open, [here, there]),
                    (NetworkPolicy(internet: false), []),
                    (NetworkPolicy(internet: false, allowOut: [try block(here)]), [here]),
                    (NetworkPolicy(internet: false, allowOut: [try block("0.0.0.0/0")]), [here, there]),
                    (NetworkPolicy(denyOut: [try block("203.0.113.0/24")]), [there]),
                    (NetworkPolicy(denyOut: [try block("0.0.0.0/0")]), []),
                    (
                        NetworkPolicy(
                            allowOut: [try block(there), try block("198.51.100.0/24"), try block("2001:db8::/32")],
                            denyOut: [try block("0.0.0.0/0"), try block(here), try block("::/0")]), [there]
                    ),
                    (NetworkPolicy(internet: false, allowOut: [try block("2000::/3")]), []),
                    (
                        NetworkPolicy(internet: false, allowOut: [try block(there)], denyOut: [try block(there)]),
                        [there]
                    ),
                    (.open, [here, there]),
                ]
                for (policy, expected) in rows {
                    for _ in 0..<2 { try await network.confine("a", to: policy) }
                    #expect(network.policy(of: "a") == policy)
                    #expect(try reached(from: inside, server) == expected, "\(policy)")
                    #expect(try reached(World.closed, from: inside, server) == [], "\(policy)")
                    #expect(try reached(from: other, server) == Set(both), "the neighbour's is its own")
                }
            }
        }
    }

    @Test func refusalsAreHeardAtOnceAndTheMachineStillGetsIn() async throws {
        try await withWorld { _ in
            try await withNetwork { network in
                try await network.prepare()
                let end = try await network.attach("a")
                try await network.confine("a", to: NetworkPolicy(internet: false))
                let server = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0")
                let refused = try NamespaceSocket.connect(
                    from: end.namespacePath, to: World.internet, port: server.port, patience: 5000)
                #expect(refused == .failed(ECONNREFUSED))
                let own = try NamespaceSocket.listening(in: end.namespacePath, at: "0.0.0.0")
                let visit = try NamespaceSocket.connected(from: nil, to: end.address, port: own.port)
                let visitor = try #require(own.accepted())
                for (one, other) in [(visit, visitor), (visitor, visit)] {
                    one.say("hello")
                    #expect(other.hear(patience: 5000) == .text("hello"))
                }
                // What came in goes on through every change.
                try await network.confine("a", to: NetworkPolicy(denyOut: [try block("0.0.0.0/0")]))
                visitor.say("still")
                #expect(visit.hear(patience: 5000) == .text("still"))
            }
        }
    }

    @Test(arguments: [true, false])
    func whatIsOpenAndNotAllowedAnyMoreEnds(whoSpeaksIsInside: Bool) async throws {
        try await withWorld { _ in
            try await withNetwork { network in
                try await network.prepare()
                let inside = try await network.attach("a").namespacePath
                let server = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0")
                let connections = try both.map { address in
                    let near = try NamespaceSocket.connected(from: inside, to: address, port: server.port)
                    return (near, try #require(server.accepted()))
                }
                try await network.confine("a", to: NetworkPolicy(denyOut: [try block(World.internet)]))
                let (ended, kept) = (connections[0], connections[1])
                for (near, far) in connections { (whoSpeaksIsInside ? near : far).say("one") }
                #expect((whoSpeaksIsInside ? kept.1 : kept.0).hear(patience: 5000) == .text("one"))
                if whoSpeaksIsInside {
                    #expect(ended.1.hear(patience: 300) == .nothing, "nothing goes out any more")
                    #expect(ended.0.hear(patience: 5000) == .ended(ECONNRESET))
                } else {
                    // What was under way may still be read; its answer has ended the connection.
                    if case .text = ended.0.hear(patience: 5000) {
                        #expect(ended.0.hear(patience: 5000) == .ended(ECONNRESET))
                    }
                }
                #expect(!ended.0.say("two"))
                for (one, other) in [kept, (kept.1, kept.0)] {
                    one.say("two")
                    #expect(other.hear(patience: 5000) == .text("two"))
                }
            }
        }
    }

    @Test func datagramsOfAFlowThatIsNotAllowedAnyMoreComeInNoMore() async throws {
        try await withWorld { _ in
            try await withNetwork { network in
                try await network.prepare()
                let inside = try await network.attach("a").namespacePath
                let near = try NamespaceSocket.listening(in: inside, at: "0.0.0.0", datagrams: true)
                let far = try NamespaceSocket.listening(in: World.namespace, at: World.internet, datagrams: true)
                func asks() -> Bool {
                    NamespaceSocket.sendDatagram("question", through: near, to: World.internet, port: far.port)
                    return far.answer("answer", patience: 300)
                }
                #expect(asks())
                #expect(near.next(patience: 5000)?.text == "answer")
                try await network.confine("a", to: NetworkPolicy(internet: false))
                // From where the last question came, to which the machine would still bring it.
                #expect(far.repeatAnswer("late"))
                #expect(near.next(patience: 300) == nil)
                #expect(!asks())
                try await network.confine("a", to: .open)
                #expect(asks())
                #expect(near.next(patience: 5000)?.text == "answer")
            }
        }
    }

    @Test func namesAreAskedForWhileAnythingMayBeReached() async throws {
        try await withWorld { _ in
            try await withNetwork(dns: [World.resolver]) { network in
                try await network.prepare()
                let inside = try await network.attach("a").namespacePath
                let questions = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0", port: 53)
                let other = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0")
                let rows: [(NetworkPolicy, Bool)] = [
                    (NetworkPolicy(internet: false), false),
                    (NetworkPolicy(internet: false, allowOut: [try block(World.internet)]), true),
                    (NetworkPolicy(internet: false, allowOut: [try block("2000::/3")]), false),
                    (NetworkPolicy(denyOut: [try block(World.internet)]), true),
                    (NetworkPolicy(denyOut: [try block(World.resolver)]), false),
                    (
                        NetworkPolicy(
                            internet: false, allowOut: [try block(World.internet)], denyOut: [try block(World.resolver)]
                        ),
                        false
                    ),
                ]
                for (policy, isAnswered) in rows {
                    try await network.confine("a", to: policy)
                    let outcome = try NamespaceSocket.connect(from: inside, to: World.resolver, port: 53)
                    #expect((outcome == .connected) == isAnswered, "\(policy)")
                    #expect(try reached([World.resolver], from: inside, other) == [])
                    #expect(try NamespaceSocket.connect(from: inside, to: World.closed[0], port: 53) != .connected)
                }
                withExtendedLifetime(questions) {}
            }
        }
    }

    /// Whatever a next process finds: nothing, a change that was cut off, a file that nobody can read.
    @Test func theTableIsWrittenAnewWithAllOfThemInIt() async throws {
        try await withWorld { _ in
            try await withNetwork { network in
                try await network.prepare()
                let server = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0")
                var ends: [String: String] = [:]
                for name in ["open", "kept", "cut", "torn"] {
                    ends[name] = try await network.attach(name).namespacePath
                }
                for name in ["kept", "cut", "torn"] {
                    try await network.confine(name, to: NetworkPolicy(denyOut: [try block(World.internet)]))
                }
                let folder = "\(network.settings.stateDirectory)/policies"
                try #"{"isInForce":false,"policy":{"internet":false}}"#.write(
                    toFile: "\(folder)/cut", atomically: true, encoding: .utf8)
                try "{".write(toFile: "\(folder)/torn", atomically: true, encoding: .utf8)
                #expect(network.policy(of: "cut") == nil && network.policy(of: "torn") == nil)
                for _ in 0..<2 {
                    try await network.prepare()
                    #expect(try reached(from: ends["open"]!, server) == Set(both))
                    #expect(try reached(from: ends["kept"]!, server) == [World.elsewhere])
                    #expect(try reached(from: ends["cut"]!, server) == [], "the last order holds")
                    #expect(try reached(from: ends["torn"]!, server) == [], "nobody knows how narrow it was")
                }
                #expect(network.policy(of: "cut") == NetworkPolicy(internet: false))
                #expect(network.policy(of: "torn") == NetworkPolicy(internet: false))
            }
        }
    }

    @Test func anAddressIsGivenToTheNextWithoutTheRulesOfTheLast() async throws {
        try await withWorld { _ in
            // Room for five.
            try await withNetwork(subnet: "10.231.77.0/29") { network in
                try await network.prepare()
                let server = try NamespaceSocket.listening(in: World.namespace, at: "0.0.0.0")
                for round in 0..<7 {
                    let end = try await network.attach("n\(round)")
                    #expect(network.policy(of: "n\(round)") == .open)
                    #expect(try reached(from: end.namespacePath, server) == Set(both), "\(end.address)")
                    try await network.confine("n\(round)", to: NetworkPolicy(internet: false))
                    try await network.detach("n\(round)")
                }
                let rules = try await Tools.ofThisProcess.run("nft", ["list", "table", "inet", network.table])
                #expect(!rules.standardOutput.contains("of_10_231"))
                let error = await #expect(throws: HostError.self) { try await network.confine("n0", to: .open) }
                #expect(error?.code == .notFound)
            }
        }
    }

    /// A container that goes while the table is written anew leaves nothing to the next one at its address.
    @Test func whoGoesWhileTheTableIsWrittenIsNotWrittenBack() async throws {
        let nft = try #require(Tools.ofThisProcess.path(of: "nft"))
        // It stands still where the table is about to be replaced, until rules were removed, which may not come to pass.
        let script = """
            folder=$(dirname "$0")
            input=$(cat)
            case "$input" in
            *"delete table"*)
                touch "$folder/writing"
                for _ in $(seq 100); do [ -e "$folder/removed" ] && break; sleep 0.01; done;;
            *) touch "$folder/removed";;
            esac
            printf '%s\\n' "$input" | \(nft) "$@"
            """
        try await withFakeTools(["nft": script]) { folder in
            try await withNetwork(tools: Tools(path: folder)) { network in
                let real = HostNetwork(settings: network.settings, tools: .ofThisProcess)
                try await real.prepare()
                let end = try await real.attach("a")
                try await real.confine("a", to: NetworkPolicy(internet: false))
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await network.prepare() }
                    while access("\(folder)/writing", F_OK) != 0 { try await Task.sleep(for: .milliseconds(5)) }
                    group.addTask { try await network.detach("a") }
                    try await group.waitForAll()
                }
                #expect(network.names() == [] && network.policy(of: "a") == .open)
                let rules = try await Tools.ofThisProcess.run("nft", ["list", "table", "inet", network.table])
                let chain = "of_" + end.address.split(separator: ".").joined(separator: "_")
                #expect(!rules.standardOutput.contains(chain))
            }
        }
    }

    /// The rules of one whose address is not on record are in no table that is written from the records.
    @Test func whoHasNoAddressOnRecordIsNotAttached() async throws {
        try await withNetwork { network in
            try await network.prepare()
            let lost = try await network.attach("lost")
            for name in ["cut", "whole"] { _ = try await network.attach(name) }
            for name in ["lost", "cut", "whole"] {
                try await network.confine(name, to: NetworkPolicy(internet: false))
            }
            #expect(network.attached() == ["lost", "cut", "whole"])
            unlink("\(network.settings.stateDirectory)/leases/\(network.bridge)/\(lost.address)")
            try await Tools.ofThisProcess.run(
                "ip", ["netns", "exec", "csdk-\(network.settings.tag)-cut", "ip", "link", "del", "eth0"])
            #expect(network.names() == ["cut", "lost", "whole"], "there is something of each to remove")
            #expect(network.attached() == ["whole"])
            for name in network.names() { try await network.detach(name) }
        }
    }

    @Test func aCloudsOwnServiceIsClosedAlsoWhereItsAddressIsPublic() {
        #expect(FirewallRules.closed.contains("168.63.129.16"))
    }

    @Test func aChangeThatFailsIsNotTakenForDone() async throws {
        try await withFakeTools(["nft": "exit 1"]) { folder in
            try await withNetwork(tools: Tools(path: folder)) { network in
                let real = HostNetwork(settings: network.settings, tools: .ofThisProcess)
                try await real.prepare()
                _ = try await real.attach("a")
                await #expect(throws: HostError.self) {
                    try await network.confine("a", to: NetworkPolicy(internet: false))
                }
                #expect(network.policy(of: "a") == nil)
                try await real.confine("a", to: NetworkPolicy(internet: false))
                #expect(network.policy(of: "a") == NetworkPolicy(internet: false))
                await #expect(throws: HostError.self) { try await network.confine("a", to: .open) }
                #expect(network.policy(of: "a") == nil)
                await #expect(throws: HostError.self, "its address is not free yet") { try await network.detach("a") }
                #expect(network.names() == ["a"])
            }
        }
    }
}
