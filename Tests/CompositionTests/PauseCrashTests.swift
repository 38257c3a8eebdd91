import ComputeCore
import Foundation
import NIOCore
import Subprocess
import Synchronization
import Testing

/// Pausing, and `kill -9` of the real `computesdk serve` meanwhile.
@Suite(.serialized) struct PauseCrashTests {
    private static let count = """
        nohup sh -c 'n=0; while :; do n=$((n+1)); echo $n > /tmp/count; sleep 0.05; done' > /dev/null 2>&1 &
        """

    // Skipped without root (containers need namespaces, mounts and control groups) or without a runsc.
    @Test(.timeLimit(.minutes(4)), .enabled(if: !GVisorPair.available.isEmpty))
    func aPausedComputeStandsStillAlsoAcrossAKillAndGoesOnWhereItStood() async throws {
        let pair = try #require(GVisorPair.available.first)
        let system = ServedSystem(.gvisor(pair))
        let known = Mutex((compute: "", token: ""))

        let killed = try await system.run { running in
            let url = try await running.url()
            let compute = try await ServedCompute.create(system, url)
            #expect(try await compute.run(Self.count).exitCode == 0)
            let paused = try await system.send("POST", "\(url)/v1/sandboxes/\(compute.id)/pause")
            #expect(paused.status == 200 && paused.text("status") == "paused", "\(paused)")
            try await isRefused(compute)
            let resumed = try await system.send("POST", "\(url)/v1/sandboxes/\(compute.id)/resume")
            #expect(resumed.status == 200 && resumed.text("status") == "running", "\(resumed)")
            #expect(await answersSoon(compute), "the URL and the token stay")
            #expect(try await isCounting(compute))
            #expect(try await system.send("POST", "\(url)/v1/sandboxes/\(compute.id)/pause").status == 200)
            known.withLock { $0 = (compute.id, compute.token) }
            running.signal(SIGKILL)
        }
        #expect(killed == .signaled(SIGKILL))
        let (id, token) = known.withLock { ($0.compute, $0.token) }

        let ended = try await system.run { running in
            let url = try await running.url()
            let compute = ServedCompute(system: system, url: url, id: id, token: token)
            try await isRefused(compute)
            #expect(try await system.send("POST", "\(url)/v1/sandboxes/\(id)/resume").status == 200)
            #expect(await answersSoon(compute))
            #expect(try await isCounting(compute), "its processes went on")
            #expect(try await system.send("POST", "\(url)/v1/sandboxes/\(id)/pause").status == 200)
            // The end is the same from here.
            #expect(try await system.send("DELETE", "\(url)/v1/sandboxes/\(id)").status == 200)
            running.signal(SIGTERM)
        }
        let left = await Leftovers(of: system.dataDirectory)
        #expect(ended == .exited(0) && left.isEmpty, "left \(left)\n\(system.said)")
    }

    /// The Gateway follows the log: a moment after the answer.
    private func isRefused(_ compute: ServedCompute) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        var status: UInt = 0
        while status != 409, ContinuousClock.now < deadline {
            // Until then it is handed on, to somebody who stands still.
            let answer = try? await compute.system.send(
                "GET", "\(compute.url)/s/\(compute.id)/health", token: compute.token, timeout: .seconds(5))
            status = answer?.status ?? 0
        }
        #expect(status == 409)
    }

    private func answersSoon(_ compute: ServedCompute) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline { if await compute.answers() { return true } }
        return false
    }

    private func isCounting(_ compute: ServedCompute) async throws -> Bool {
        let outcome = try await compute.run(
            "a=$(cat /tmp/count); for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; b=$(cat /tmp/count); [ \"$a\" != \"$b\" ] && exit 0; done; exit 1"
        )
        return outcome.exitCode == 0
    }
}
