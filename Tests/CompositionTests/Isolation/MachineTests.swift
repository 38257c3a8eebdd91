import ComputeCore
import Foundation
import NIOCore
import Testing

extension IsolationTests {
    @Test(.timeLimit(.minutes(5)), arguments: GVisorPair.available)
    func theKernelInsideIsGVisors(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let messages = try await compute.run("dmesg")
            #expect(messages.stdout.contains("gVisor"), "\(messages)")
            let runtime = try await compute.system.send("GET", "\(compute.url)/v1/runtime")
            #expect(runtime.text("isolation") == "gvisor")
            guard case .object(let data)? = runtime.body["data"], case .object(let runsc)? = data["runsc"] else {
                Issue.record("it does not say on what it runs: \(runtime)")
                return
            }
            #expect(runsc["platform"] == .string(pair.platform))
        }
    }

    // The oldest of them refuses a flag that these set on every call.
    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func theImagesOwnProgramsWork(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            for command in [
                "ls -l /", "stat /etc/passwd", "cp -a /etc/hosts /tmp/h && rm /tmp/h", "node -v", "git --version",
            ] {
                try await compute.run(command).requireSuccess()
            }
            #expect(try await compute.run("sudo id -u").line == "0")
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func noFileOfTheMachineIsVisible(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let root = try await compute.rootPrefix()
            let name = "of-the-machine-\(String.randomLabel(length: 12))"
            let folders = ["/tmp", "/var/tmp", "/home", compute.system.dataDirectory]
            for folder in folders { try Data("secret".utf8).write(to: URL(filePath: "\(folder)/\(name)")) }
            defer { for folder in folders { try? FileManager.default.removeItem(atPath: "\(folder)/\(name)") } }
            try await compute.run("touch $HOME/own-\(name)").requireSuccess()
            // Root inside looks everywhere, also through the doors that lead out of an ordinary container.
            let found = try await compute.run(
                "\(root)find / /proc/1/root/ /proc/self/root/ /proc/1/cwd/ -name '*\(name)' 2>/dev/null | sort -u",
                timeout: .seconds(100))
            let names = Set(found.stdout.split(separator: "\n").map { $0.split(separator: "/").last ?? "" })
            #expect(names == ["own-\(name)"], "\(found)")
            #expect(try await compute.run("\(root)ls \(compute.system.dataDirectory)").exitCode != 0)
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func noProcessOfTheMachineIsVisible(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let root = try await compute.rootPrefix()
            let list = try await compute.run(
                "\(root)cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; for p in /proc/[0-9]*; do echo $p; done")
            try list.requireSuccess()
            #expect(list.stdout.contains("/computesdk/bin/sidekick"))
            #expect(!list.stdout.contains("serve") && !list.stdout.contains("runsc"), "\(list)")
            let numbers = list.stdout.split(separator: "\n").filter { $0.hasPrefix("/proc/") }
            // The Sidekick, this command, and what the pool warmed it up with.
            #expect((1...12).contains(numbers.count), "\(numbers)")
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func noMountOfTheMachineIsVisibleAndNoneCanBeMade(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let root = try await compute.rootPrefix()
            let mounts = try await compute.run("cat /proc/mounts /proc/self/mountinfo")
            try mounts.requireSuccess()
            #expect(!mounts.stdout.contains(compute.system.dataDirectory), "\(mounts)")
            let points = mounts.stdout.split(separator: "\n").compactMap { line -> String? in
                let fields = line.split(separator: " ")
                return fields.count > 1 && fields[1].hasPrefix("/") ? String(fields[1]) : nil
            }
            // The last is the Sidekick's own, in memory.
            let usual = ["/", "/proc", "/sys", "/dev", "/tmp", "/computesdk/state"]
            for point in points {
                #expect(usual.contains { point == $0 || ($0 != "/" && point.hasPrefix("\($0)/")) }, "\(point)")
            }
            for attempt in [
                "mount -t tmpfs none /mnt", "mount --bind /proc /mnt", "mount -o remount,rw /sys",
                "mknod $HOME/disk b 7 0", "mknod $HOME/memory c 1 1", "unshare --mount true",
                "chroot / true",
            ] {
                #expect(try await compute.run("\(root)sh -c '\(attempt)'").exitCode != 0, "\(attempt)")
            }
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func rootInsideChangesNothingOutside(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let root = try await compute.rootPrefix()
            let hostname = try String(contentsOfFile: "/proc/sys/kernel/hostname", encoding: .utf8)
            let pattern = try String(contentsOfFile: "/proc/sys/kernel/core_pattern", encoding: .utf8)
            let clock = Date()
            for attempt in [
                "hostname taken", "echo taken > /proc/sys/kernel/core_pattern",
                "echo taken > /proc/sys/kernel/hostname",
                "date -s 2001-01-01", "echo b > /proc/sysrq-trigger", "reboot -f", "ip link set eth0 down",
                "for p in $(seq 2 400); do [ -d /proc/$p ] || kill -9 $p; done", "dd if=/dev/zero of=/dev/sda count=1",
            ] { _ = try await compute.run("\(root)sh -c '\(attempt)' || true") }
            #expect(try String(contentsOfFile: "/proc/sys/kernel/hostname", encoding: .utf8) == hostname)
            #expect(try String(contentsOfFile: "/proc/sys/kernel/core_pattern", encoding: .utf8) == pattern)
            #expect(abs(Date().timeIntervalSince(clock)) < 600)
            let ready = try await compute.system.send("GET", "\(compute.url)/ready")
            #expect(ready.status == 200)
            // Its own compute he may break; the next one is as good as any.
            try await SharedSystems.withCompute(on: pair) { #expect(await $0.answers()) }
        }
    }
}

extension ServedCompute.Outcome {
    func requireSuccess(sourceLocation: SourceLocation = #_sourceLocation) throws {
        try #require(exitCode == 0, "\(self)", sourceLocation: sourceLocation)
    }
}
