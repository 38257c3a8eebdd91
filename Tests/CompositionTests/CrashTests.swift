import ComputeCore
import Foundation
import Subprocess
import Synchronization
import TestSupport
import Testing

/// `kill -9` of the real `computesdk serve` at any moment under load.
@Suite(.serialized) struct CrashTests {
    @Test(.timeLimit(.minutes(4))) func everythingAcknowledgedSurvivesAKill() async throws {
        let rounds = CrashRounds(system: ServedSystem(), isolations: Array(repeating: .process, count: 3))
        try await rounds.run()
        #expect(rounds.system.processes == [] && rounds.system.members == [])
    }

    @Test(.timeLimit(.minutes(4))) func everythingAcknowledgedSurvivesAKillOfAServiceOnPostgres() async throws {
        try await PostgresServer.with { server in
            let system = ServedSystem(settings: try await server.settings(ofNew: "sandboxes"))
            try await CrashRounds(system: system, isolations: Array(repeating: .process, count: 3)).run()
            #expect(system.processes == [] && system.members == [])
        }
    }

    // Skipped without root (containers need namespaces, mounts and control groups) or without a runsc.
    @Test(.timeLimit(.minutes(10)), .enabled(if: !GVisorPair.available.isEmpty))
    func twentyKillsUnderGVisorLoseNothingAcknowledgedAndLeaveNothingBehind() async throws {
        // The kinds of gVisor take turns on one data folder, as after an upgrade.
        let pairs = GVisorPair.available
        let isolations = (0..<20).map { ServedIsolation.gvisor(pairs[$0 / 3 % pairs.count]) }
        try await CrashRounds(system: ServedSystem(isolations[0]), isolations: isolations).run()
    }
}

/// Rounds of load, kill and restart over one data folder.
///
/// ```
///   start ─► check what was promised ─► load ─► kill -9 ─► start ─► … ─► check ─► SIGTERM ─► nothing is left
/// ```
private struct CrashRounds {
    let system: ServedSystem
    /// What each round runs on.
    let isolations: [ServedIsolation]
    let seed = UInt64.random(in: 0 ... .max)
    private let ledger = Ledger()

    init(system: ServedSystem, isolations: [ServedIsolation]) {
        self.system = system
        self.isolations = isolations
    }

    func run() async throws {
        print("crash rounds: seed \(seed)")
        var random = Seeded(state: seed)
        for (round, isolation) in isolations.enumerated() {
            // Counted in answers, so that a slow machine is killed under load as well; then anywhere in the next work.
            let more = Int.random(in: 2...6, using: &random)
            let moment = Duration.milliseconds(Int.random(in: 0...300, using: &random))
            // Some die before they are ready, in the middle of making good what the last one left.
            let early: Duration? = round % 5 == 4 ? .milliseconds(Int.random(in: 0...2500, using: &random)) : nil
            let label = "round \(round) of seed \(seed), killed \(moment) after \(more) answers"
            let status = try await system.run(with: isolation) { running in
                if let early {
                    try await Task.sleep(for: early)
                    running.signal(SIGKILL)
                    return
                }
                let url = try await running.url()
                try await check(url, label)
                await loadUntilKilled(running, url, answers: ledger.answers + more, then: moment)
            }
            #expect(status == .signaled(SIGKILL), "\(label): \(system.said)")
        }
        let status = try await system.run(with: isolations.last) { running in
            let url = try await running.url()
            try await check(url, "the end of seed \(seed)")
            try await nobodyElseIsThere(url)
            running.signal(SIGTERM)
        }
        let left = await Leftovers(of: system.dataDirectory)
        #expect(status == .exited(0) && left.isEmpty, "seed \(seed) left \(left)\n\(system.said)")
        #expect(ledger.state.withLock { $0.made > 0 && !$0.deleted.isEmpty }, "the load did something")
    }

    private func loadUntilKilled(_ running: Running, _ url: String, answers: Int, then moment: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            for client in 0..<4 {
                group.addTask { await load(url, named: client.isMultiple(of: 2)) }
            }
            group.addTask {
                let giveUp = ContinuousClock.now + .seconds(30)
                while ledger.answers < answers || !ledger.hasDeleted, ContinuousClock.now < giveUp {
                    try? await Task.sleep(for: .milliseconds(1))
                }
                try? await Task.sleep(for: moment)
                running.signal(SIGKILL)
            }
        }
    }

    /// Creates, and deletes every other one, until the server is gone.
    private func load(_ url: String, named: Bool) async {
        for number in 0... {
            let body = named ? #"{"name":"n\#(String.randomLabel(length: 8))"}"# : "{}"
            guard let made = try? await system.send("POST", "\(url)/v1/sandboxes", body) else { return }
            guard made.status == 200, let id = made.text("sandboxId"), let token = made.text("token") else { continue }
            ledger.state.withLock { $0.made += 1 }
            guard number.isMultiple(of: 2) else {
                ledger.state.withLock { $0.alive[id] = token }
                continue
            }
            // From here on either is right until the answer is there.
            guard let deleted = try? await system.send("DELETE", "\(url)/v1/sandboxes/\(id)"), deleted.status == 200
            else { return }
            _ = ledger.state.withLock { $0.deleted.insert(id) }
        }
    }

    /// What clients were told holds.
    private func check(_ url: String, _ moment: String) async throws {
        let (alive, deleted) = ledger.state.withLock { ($0.alive, $0.deleted) }
        for (id, token) in alive {
            let compute = ServedCompute(system: system, url: url, id: id, token: token)
            let ran: String
            do { ran = try await compute.run("echo ok").stdout } catch { ran = "\(error)" }
            let life = ran == "ok\n" ? "" : await events(of: id, url)
            #expect(ran == "ok\n", "\(id) is not usable, \(moment): \(life)")
        }
        for id in deleted {
            #expect(try await system.send("GET", "\(url)/v1/sandboxes/\(id)").status == 404, "\(id), \(moment)")
        }
        // What was requested and never started is ended with its event and does not count any more.
        let creating = try await system.send("GET", "\(url)/v1/sandboxes?state=creating")
        #expect(creating.body["data"] == .array([]), "\(moment)")
        // A few live on through several kills; more would only make the machine slow.
        for id in alive.keys.sorted().dropFirst(3) {
            let answer = try await system.send("DELETE", "\(url)/v1/sandboxes/\(id)")
            #expect(answer.status == 200, "\(id) cannot be deleted, \(moment): \(answer)")
            ledger.state.withLock {
                $0.alive[id] = nil
                $0.deleted.insert(id)
            }
        }
    }

    private func events(of id: String, _ url: String) async -> String {
        "\((try? await system.send("GET", "\(url)/v1/events?sandboxId=\(id)"))?.body ?? [:])"
    }

    /// On the machine are the computes that the API knows, and the pool.
    private func nobodyElseIsThere(_ url: String) async throws {
        let listed = try await system.send("GET", "\(url)/v1/sandboxes")
        guard case .array(let computes)? = listed.body["data"] else { throw ServedCompute.Refused(listed) }
        let expected = computes.count + ServedSystem.poolSize
        // The sweep gives a place that was claimed and not recorded a minute before it takes it for nobody's.
        try await eventually("there are \(expected) members, after seed \(seed)", within: .seconds(120)) {
            let members = Leftovers.members(of: system.dataDirectory)
            if isolations.last == .process { return members.count == expected }
            let started = Leftovers.started(of: system.dataDirectory)
            // Beside them at most the two grounds that are laid ahead.
            return started.count == expected && members.subtracting(started).count <= 2
        }
    }

    /// What clients were told.
    private final class Ledger: Sendable {
        struct State {
            var made = 0
            /// Tokens by id.
            var alive: [String: String] = [:]
            var deleted: Set<String> = []
        }
        let state = Mutex(State())
        var answers: Int { state.withLock { $0.made } }
        var hasDeleted: Bool { state.withLock { !$0.deleted.isEmpty } }
    }

    /// SplitMix64: the same rounds for the same seed, as far as a machine repeats itself.
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
