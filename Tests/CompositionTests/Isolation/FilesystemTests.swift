import ComputeCore
import Foundation
import Testing

extension IsolationTests {
    private static let database = """
        import sqlite3; c = sqlite3.connect("/data/deep/db"); c.execute("PRAGMA journal_mode = WAL"); \
        c.execute("CREATE TABLE IF NOT EXISTS t (x)"); c.execute("INSERT INTO t VALUES (1)"); c.commit(); \
        print(c.execute("SELECT count(*) FROM t").fetchone()[0])
        """

    /// Loop devices of a filesystem's file.
    private static func devices(under id: String) -> [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/block")) ?? []
        return all.filter { device in
            let file = try? String(contentsOfFile: "/sys/block/\(device)/loop/backing_file", encoding: .utf8)
            return file?.contains("/filesystems/\(id)/") == true
        }
    }

    @Test(arguments: GVisorPair.available) func aFilesystemOutlivesItsComputeAndIsAsLargeAsItSays(
        _ pair: GVisorPair
    ) async throws {
        try await SharedSystems.withCompute(on: pair) { other in
            let (system, url) = (other.system, other.url)
            let name = "disk-\(String.randomLabel(length: 8))"
            let made = try await system.send(
                "POST", "\(url)/v1/filesystems", #"{"name":"\#(name)","sizeMiB":64}"#)
            let id = try #require(made.text("filesystemId"), "\(made)")
            let writing = #"{"filesystems":[{"name":"\#(name)","path":"/data/deep"}]}"#
            let reading = #"{"filesystems":[{"filesystemId":"\#(id)","path":"/models","readOnly":true}]}"#

            let first = try await ServedCompute.create(system, url, writing)
            #expect(try await first.run("echo kept > /data/deep/file && cat /data/deep/file").line == "kept")
            #expect(try await first.run("stat -c %U /data/deep; ls -A /data/deep").stdout == "user\nfile\n")
            // Rights, locks and shared memory are what databases need of a disk.
            let database = "python3 -c '\(Self.database)'"
            #expect(try await first.run(database).line == "1", "a database that maps its log")
            let raised = "sudo cp /usr/bin/id /data/deep/id && sudo chmod 4755 /data/deep/id && /data/deep/id -u"
            #expect(try await first.run(raised).line == "1000", "nobody is raised by what was left there")
            // Begun while the disk is mounted, with nothing to do with it: it must not hold it.
            let bystander = try await ServedCompute.create(system, url, #"{"resources":{"memoryMiB":256}}"#)
            let second = try await system.send("POST", "\(url)/v1/sandboxes", writing)
            #expect(second.status == 409, "a second writer: \(second)")
            #expect(try await system.send("DELETE", "\(url)/v1/filesystems/\(id)").status == 409)
            let full = try await first.run("head -c 100000000 /dev/zero > /data/deep/big")
            #expect(full.exitCode != 0 && full.stderr.contains("No space left on device"), "\(full)")
            #expect(try await first.run("rm /data/deep/big && echo more >> /data/deep/file").exitCode == 0)
            let beside = try await first.run("head -c 50000000 /dev/zero > /tmp/big")
            #expect(beside.exitCode == 0, "its own disk is another: \(beside)")
            try await first.delete()
            try await eventually("nobody holds the disk", within: .seconds(60)) { Self.devices(under: id).isEmpty }

            // Two at once, right after the writer's end.
            let readers = [
                try await ServedCompute.create(system, url, reading),
                try await ServedCompute.create(system, url, reading),
            ]
            for reader in readers {
                #expect(try await reader.run("cat /models/file").stdout == "kept\nmore\n")
                let refused = try await reader.run("echo x > /models/file")
                #expect(refused.exitCode != 0 && refused.stderr.contains("Read-only"), "\(refused)")
                try await reader.delete()
            }
            #expect(try await other.run("ls -d /data /models").stdout == "", "nobody else sees it")

            let last = try await ServedCompute.create(system, url, writing)
            #expect(try await last.run("cat /data/deep/file").stdout == "kept\nmore\n")
            #expect(try await last.run(database).line == "2", "what the last one wrote, and one more")
            try await last.delete()
            #expect(try await bystander.run("echo alive").line == "alive")
            try await bystander.delete()
            #expect(try await system.send("DELETE", "\(url)/v1/filesystems/\(id)").status == 200)
            // Its last compute may hold it a moment longer; then it is the sweep's.
            try await eventually("its volume is gone", within: .seconds(60)) {
                !FileManager.default.fileExists(atPath: "\(system.dataDirectory)/filesystems/\(id)")
            }
        }
    }
}
