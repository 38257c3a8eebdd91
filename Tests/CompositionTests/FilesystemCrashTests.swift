import ComputeCore
import Foundation
import Subprocess
import Synchronization
import Testing

/// `kill -9` of the real `computesdk serve` while filesystems are mounted.
@Suite(.serialized) struct FilesystemCrashTests {
    // Skipped without root (containers need namespaces, mounts and control groups) or without a runsc.
    @Test(.timeLimit(.minutes(4)), .enabled(if: !GVisorPair.available.isEmpty))
    func aKillLosesNothingOfAFilesystemAndTheEndLeavesNothingMounted() async throws {
        let pair = try #require(GVisorPair.available.first)
        let system = ServedSystem(.gvisor(pair))
        let known = Mutex((id: "", compute: "", token: ""))
        let body = #"{"filesystems":[{"name":"kept","path":"/data"}]}"#

        let killed = try await system.run { running in
            let url = try await running.url()
            let made = try await system.send("POST", "\(url)/v1/filesystems", #"{"name":"kept","sizeMiB":64}"#)
            let id = try #require(made.text("filesystemId"), "\(made)")
            let compute = try await ServedCompute.create(system, url, body)
            #expect(try await compute.run("echo before > /data/file").exitCode == 0)
            known.withLock { $0 = (id, compute.id, compute.token) }
            running.signal(SIGKILL)
        }
        #expect(killed == .signaled(SIGKILL))
        let (id, computeID, token) = known.withLock { ($0.id, $0.compute, $0.token) }

        let ended = try await system.run { running in
            let url = try await running.url()
            // The compute lives on with it, so nobody else gets it.
            let compute = ServedCompute(system: system, url: url, id: computeID, token: token)
            #expect(try await compute.run("cat /data/file; echo after >> /data/file").line == "before")
            #expect(try await system.send("POST", "\(url)/v1/sandboxes", body).status == 409)
            #expect(try await system.send("DELETE", "\(url)/v1/filesystems/\(id)").status == 409)
            try await compute.delete()
            let next = try await ServedCompute.create(system, url, body)
            #expect(try await next.run("cat /data/file").stdout == "before\nafter\n")
            running.signal(SIGTERM)
        }
        let left = await Leftovers(of: system.dataDirectory)
        #expect(ended == .exited(0) && left.isEmpty, "left \(left)\n\(system.said)")

        let last = try await system.run { running in
            let url = try await running.url()
            let compute = try await ServedCompute.create(system, url, body)
            #expect(try await compute.run("cat /data/file").stdout == "before\nafter\n", "the stop kept it")
            try await compute.delete()
            #expect(try await system.send("DELETE", "\(url)/v1/filesystems/\(id)").status == 200)
            running.signal(SIGTERM)
        }
        #expect(last == .exited(0), "\(system.said)")
    }
}
