import ComputeCore
import Foundation
import Subprocess
import Synchronization
import Testing

/// `kill -9` of the real `computesdk serve` at any moment under load.
@Suite(.serialized) struct CrashTests {
    @Test(.timeLimit(.minutes(2))) func everythingAcknowledgedSurvivesAKill() async throws {
        let system = ServedSystem()
        let ledger = Ledger()
        for round in 0..<3 {
            // Counted in answers, so that a slow machine is killed under load as well; then anywhere in the next work.
            let answers = ledger.answers + Int.random(in: 3...8)
            let moment = Duration.milliseconds(Int.random(in: 0...60))
            _ = try await system.run { running in
                let url = try await running.url()
                await withTaskGroup(of: Void.self) { group in
                    for client in 0..<4 {
                        group.addTask { await Self.load(system, url, ledger, named: client.isMultiple(of: 2)) }
                    }
                    group.addTask {
                        let giveUp = ContinuousClock.now + .seconds(15)
                        while ledger.answers < answers, ContinuousClock.now < giveUp {
                            try? await Task.sleep(for: .milliseconds(1))
                        }
                        try? await Task.sleep(for: moment)
                        running.signal(SIGKILL)
                    }
                }
            }
            let status = try await system.run { running in
                try await Self.check(
                    system, try await running.url(), ledger, "round \(round), killed \(moment) after \(answers) answers"
                )
                running.signal(round == 2 ? SIGTERM : SIGKILL)
            }
            if round == 2 { #expect(status == .exited(0)) }
        }
        #expect(ledger.state.withLock { !$0.alive.isEmpty && !$0.deleted.isEmpty }, "the load did something")
        #expect(system.processes == [] && system.members == [])
    }

    /// What clients were told.
    private final class Ledger: Sendable {
        struct State {
            /// Tokens by id.
            var alive: [String: String] = [:]
            var deleted: Set<String> = []
        }
        let state = Mutex(State())
        var answers: Int { state.withLock { $0.alive.count + $0.deleted.count } }
    }

    /// Creates, and deletes every other one, until the server is gone.
    private static func load(_ system: ServedSystem, _ url: String, _ ledger: Ledger, named: Bool) async {
        for number in 0... {
            let body = named ? #"{"name":"n\#(String.randomLabel(length: 8))"}"# : "{}"
            guard let made = try? await system.send("POST", "\(url)/v1/sandboxes", body) else { return }
            guard made.status == 200, let id = made.text("sandboxId"), let token = made.text("token") else { continue }
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

    private static func check(_ system: ServedSystem, _ url: String, _ ledger: Ledger, _ moment: String) async throws {
        let (alive, deleted) = ledger.state.withLock { ($0.alive, $0.deleted) }
        for (id, token) in alive {
            let ran = try await system.send(
                "POST", "\(url)/s/\(id)/run/command", #"{"command":"echo ok"}"#, token: token)
            #expect(ran.status == 200 && ran.text("stdout") == "ok\n", "\(id) is not usable, \(moment)")
        }
        for id in deleted {
            #expect(try await system.send("GET", "\(url)/v1/sandboxes/\(id)").status == 404, "\(id), \(moment)")
        }
        // What was requested and never started is ended with its event and does not count any more.
        let creating = try await system.send("GET", "\(url)/v1/sandboxes?state=creating")
        #expect(creating.body["data"] == .array([]), "\(moment)")
    }
}
