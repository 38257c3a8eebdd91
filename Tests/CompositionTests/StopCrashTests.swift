import ComputeCore
import Foundation
import NIOCore
import Subprocess
import Synchronization
import Testing

/// Stopping and starting through the API, and `kill -9` of the real `computesdk serve` in between.
@Suite(.serialized) struct StopCrashTests {
    private static func body(_ directory: String, _ port: Int, secretFile: Bool) -> String {
        #"""
        {"envs":{"GIVEN":"value"},"directory":"\#(directory)","servers":[{"slug":"web",
        "start":"exec python3 -m http.server \#(port) --bind 0.0.0.0"}],"secrets":[{"name":"key","env":"KEY"}
        \#(secretFile ? #",{"name":"key","path":"/home/user/s/key"}"# : "")]}
        """#
    }

    /// The user lays a link to where only root can write; the next start writes the secret with more than his rights.
    private func lay(_ compute: ServedCompute, _ url: String) async throws {
        let laid = try await compute.run("cat ~/s/key; mv ~/s ~/old && ln -s /etc ~/s")
        #expect(laid.exitCode == 0 && laid.stdout == "first", "\(laid)")
        let changed = try await compute.system.send("PUT", "\(url)/v1/secrets/key", #"{"value":"second"}"#)
        #expect(changed.status == 200, "\(changed)")
    }

    // Skipped without root (containers need namespaces, mounts and control groups) or without a runsc.
    @Test(.timeLimit(.minutes(5)), arguments: GVisorPair.available)
    func aStoppedComputeIsThereAgainAlsoAfterAKill(_ pair: GVisorPair) async throws {
        try await check(ServedSystem(.gvisor(pair)), root: "sudo ")
    }

    @Test(.timeLimit(.minutes(3))) func soItIsWithoutIsolation() async throws {
        try await check(ServedSystem(.process), root: "", directory: "work", port: .random(in: 20_000...30_000))
    }

    private func check(
        _ system: ServedSystem, root: String, directory: String = "/home/user/work", port: Int = 8000
    ) async throws {
        let known = Mutex((compute: "", token: ""))
        let killed = try await system.run { running in
            let url = try await running.url()
            let secret = try await system.send("PUT", "\(url)/v1/secrets/key", #"{"value":"first"}"#)
            #expect(secret.status == 200, "\(secret)")
            let compute = try await ServedCompute.create(
                system, url, Self.body(directory, port, secretFile: !root.isEmpty))
            let made = try await compute.run(
                "\(root)sh -c 'mkdir -p $HOME/.made; echo as-root > ./installed; chmod 700 ./installed' && echo mine > file && pwd"
            )
            #expect(made.exitCode == 0, "\(made)")
            #expect(try await serves(compute, port), "the server answers")
            if !root.isEmpty { try await lay(compute, url) }
            // What was just written is there, although nobody waited for any disk.
            let many = "for i in $(seq 200); do echo $i > many-$i; done; head -c 5000000 /dev/zero > large"
            #expect(try await compute.run(many).exitCode == 0)
            let stopped = try await system.send("POST", "\(url)/v1/sandboxes/\(compute.id)/stop")
            #expect(stopped.status == 200 && stopped.text("status") == "stopped", "\(stopped)\n\(system.said)")
            try await isRefused(compute)
            known.withLock { $0 = (compute.id, compute.token) }
            running.signal(SIGKILL)
        }
        #expect(killed == .signaled(SIGKILL))
        let (id, token) = known.withLock { ($0.compute, $0.token) }

        let stoppedInOrder = try await system.run { running in
            let url = try await running.url()
            let compute = ServedCompute(system: system, url: url, id: id, token: token)
            try await isRefused(compute)
            try await isThereAgain(compute, root, port)
            // Paused first, and killed while nobody knows how far the end of its place has got.
            if case .object(let data)? = try await system.send("GET", "\(url)/v1/runtime").body["data"],
                case .array(let abilities)? = data["abilities"], abilities.contains(.string("freeze"))
            {
                #expect(try await system.send("POST", "\(url)/v1/sandboxes/\(id)/pause").status == 200)
            }
            async let stop = system.send("POST", "\(url)/v1/sandboxes/\(id)/stop")
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...60)))
            running.signal(SIGKILL)
            _ = try? await stop
        }
        #expect(stoppedInOrder == .signaled(SIGKILL))

        let ended = try await system.run { running in
            let url = try await running.url()
            let compute = ServedCompute(system: system, url: url, id: id, token: token)
            let state = try await system.send("GET", "\(url)/v1/sandboxes/\(id)").text("status")
            // The kill came before its record, or after.
            if state != "stopped" {
                #expect(try await system.send("POST", "\(url)/v1/sandboxes/\(id)/stop").status == 200)
            }
            try await isThereAgain(compute, root, port)
            #expect(try await system.send("POST", "\(url)/v1/sandboxes/\(id)/stop").status == 200)
            running.signal(SIGTERM)
        }
        #expect(ended == .exited(0), "\(system.said)")
        let left = await Leftovers(of: system.dataDirectory)
        #expect(left.isEmpty, "left \(left)\n\(system.said)")

        let last = try await system.run { running in
            let url = try await running.url()
            let compute = ServedCompute(system: system, url: url, id: id, token: token)
            try await isThereAgain(compute, root, port)
            try await compute.delete()
            running.signal(SIGTERM)
        }
        #expect(last == .exited(0), "\(system.said)")
        let kept = (try? FileManager.default.contentsOfDirectory(atPath: "\(system.dataDirectory)/kept")) ?? []
        #expect(kept.isEmpty, "its end removes it: \(kept)")
    }

    private func isThereAgain(_ compute: ServedCompute, _ root: String, _ port: Int) async throws {
        let url = "\(compute.url)/v1/sandboxes/\(compute.id)"
        let started = try await compute.system.send("POST", "\(url)/start")
        #expect(started.status == 200 && started.text("status") == "running", "\(started)\n\(compute.system.said)")
        var found: ServedCompute.Outcome?
        let deadline = ContinuousClock.now + .seconds(60)
        // The Gateway follows the log: a moment after the answer.
        while found == nil, ContinuousClock.now < deadline {
            found = try? await compute.run(
                "cat file; \(root)cat installed; echo $GIVEN; ls | grep -c many; stat -c %s large; basename $(pwd)")
        }
        #expect(found?.stdout == "mine\nas-root\nvalue\n200\n5000000\nwork\n", "\(String(describing: found))")
        #expect(try await serves(compute, port), "the server was started again")
        guard !root.isEmpty else { return }
        let secrets = try await compute.run("echo $KEY; cat ~/old/key; echo; ls /etc/key")
        #expect(secrets.stdout == "second\nfirst\n" && secrets.exitCode != 0, "\(secrets)")
    }

    private func serves(_ compute: ServedCompute, _ port: Int) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            let answer = try? await compute.system.send("GET", "\(compute.url)/s/\(compute.id)/p/\(port)/")
            if answer?.status == 200 { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    private func isRefused(_ compute: ServedCompute) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        var answer = ServedSystem.Answer(status: 0, body: [:])
        while answer.status != 503, ContinuousClock.now < deadline {
            // Until then it is handed on, to somebody who is about to end.
            let asked = try? await compute.system.send(
                "GET", "\(compute.url)/s/\(compute.id)/health", token: compute.token, timeout: .seconds(5))
            answer = asked ?? answer
        }
        #expect(answer.status == 503 && "\(answer.body)".contains("/start"), "\(answer)")
    }
}
