import Foundation
import Subprocess
import Testing

/// Orderly ends of the real `computesdk serve`.
@Suite(.serialized) struct ShutdownTests {
    /// Where the start is: at the lock, early in the set-up; when its first member starts.
    @Test(.timeLimit(.minutes(3)), arguments: ["lock", "members/*"], [SIGTERM, SIGINT])
    func aSignalDuringTheStartEndsItInOrder(_ place: String, _ signal: Int32) async throws {
        let system = ServedSystem()
        let status = try await system.run { running in
            while place == "lock"
                ? !FileManager.default.fileExists(atPath: "\(system.dataDirectory)/lock") : system.members.isEmpty
            {
                try await Task.sleep(for: .milliseconds(1))
            }
            running.signal(signal)
        }
        #expect(status == .exited(0))
        #expect(system.processes == [] && system.members == [])
    }

    @Test(.timeLimit(.minutes(3))) func aStopWaitsForNoCommandAndASecondSignalChangesNothing() async throws {
        let system = ServedSystem()
        let clock = ContinuousClock()
        let status = try await system.run { running in
            let url = try await running.url()
            var used = ("", "")
            for _ in 0..<4 {
                let made = try await system.send("POST", "\(url)/v1/sandboxes", "{}")
                used = (try #require(made.text("sandboxId")), try #require(made.text("token")))
            }
            let (id, token) = used
            let command = Task {
                try? await system.send(
                    "POST", "\(url)/s/\(id)/run/command", #"{"command":"touch started; sleep 600"}"#, token: token)
            }
            defer { command.cancel() }
            while !system.members.contains(where: {
                FileManager.default.fileExists(atPath: "\(system.dataDirectory)/homes/\($0)/home/started")
            }) { try await Task.sleep(for: .milliseconds(5)) }
            let asked = clock.now
            running.signal(SIGTERM)
            try await Task.sleep(for: .milliseconds(50))
            running.signal(SIGTERM)
            while kill(running.pid, 0) == 0, !system.processes.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            // Far below the command, and below the time that a create under way would be given.
            #expect(clock.now - asked < .seconds(20))
        }
        #expect(status == .exited(0))
        #expect(system.processes == [] && system.members == [])
    }
}
