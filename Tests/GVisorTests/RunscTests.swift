import FoundationEssentials
import GVisor
import Glibc
import LinuxHost
import SystemPackage
import Testing

/// Real containers, with every build and platform of this machine.
@Suite(.enabled(Build.absence) { Build.here }, .serialized, .timeLimit(.minutes(5)))
struct RunscTests {
    private func text(_ path: String) -> String {
        (try? Data(contentsOf: URL(filePath: path))).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    private func cpuTicks(_ group: Cgroup) -> Int {
        group.processes().reduce(0) { sum, process in
            let fields = text("/proc/\(process)/stat").split(separator: ")").last?.split(separator: " ") ?? []
            return sum + (fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0)
        }
    }

    @Test func aContainerLivesInItsGroupIsFrozenAndEndsWithoutATrace() async throws {
        for build in try await Build.all() {
            try await Place.with { place in
                let runsc = place.runsc(build)
                let container = try await Running.start(
                    "echo oops >&2; echo ready; while :; do :; done", with: runsc, in: place)
                defer { try? container.output.close() }
                #expect(try await container.read(until: "ready") == "ready\n")
                #expect(text(container.log).contains("oops"))
                #expect(runsc.known() == [container.id])

                // Everything that has its id on its command line is in the group: the sandbox and the gofer at least.
                let inside = Set(container.group.processes())
                #expect(inside.contains(container.process))
                let named = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }.filter
                {
                    text("/proc/\($0)/cmdline").contains(container.id)
                        || text("/proc/\($0)/cmdline").contains(place.folder)
                }
                #expect(named.count >= 2)
                #expect(Set(named).isSubset(of: inside))

                try container.group.freeze()
                let before = cpuTicks(container.group)
                #expect(before > 0)
                try await Task.sleep(for: .milliseconds(300))
                #expect(cpuTicks(container.group) == before, "\(build.testDescription)")
                try container.group.thaw()
                while cpuTicks(container.group) == before { await Task.yield() }

                async let end: Void = ProcessWatch().ended(container.process)
                try container.group.freeze()
                try await container.group.killAll(deadline: .seconds(20))
                await end
                #expect(try await container.read() == "")
                try container.group.remove()
                runsc.forget(container.id)
                #expect(runsc.known() == [])
                #expect(try FileManager.default.contentsOfDirectory(atPath: runsc.root) == [])
            }
        }
    }

    @Test func insideThereIsTheContainerAndNothingElse() async throws {
        for build in try await Build.all() {
            try await Place.with { place in
                let runsc = place.runsc(build)
                let namespace = try await place.makeNamespace(interface: "eth7")
                let container = try await Running.start(
                    """
                    echo "host $(hostname) $(id -u) $(dmesg | grep -c gVisor)"
                    echo "rights $(grep CapEff /proc/self/status | cut -f2)"
                    echo "files $(ulimit -n)"
                    echo "mounts $(grep -c ' /tmp ' /proc/mounts)"
                    echo "network $(grep -c eth7 /proc/net/dev)"
                    touch /tmp/written /sys/x 2>/dev/null
                    mknod /tmp/device c 1 3 2>/dev/null && echo "made a device"
                    mount -t tmpfs tmpfs /mnt 2>/dev/null && echo "mounted"
                    test -w /dev/shm && echo devices /dev/*
                    (exec 3<>/dev/ptmx) && echo "terminals"
                    exit 0
                    """, with: runsc, in: place, network: namespace)
                defer { try? container.output.close() }
                let said = try await container.read()
                await ProcessWatch().ended(container.process)
                let lines = said.split(separator: "\n")
                func line(_ prefix: String) -> Substring? { lines.first { $0.hasPrefix(prefix) } }
                #expect(line("host") == "host inside 0 1")
                // CHOWN DAC_OVERRIDE FOWNER KILL SETGID SETUID
                #expect(line("rights") == "rights 00000000000000eb")
                #expect(line("files") == "files 65536")
                #expect(line("mounts") == "mounts 0")
                #expect(line("network") == "network 1")
                #expect(access("\(place.folder)/upper/tmp/written", F_OK) == 0)
                #expect(line("made a device") == nil)
                #expect(line("mounted") == nil)
                #expect(line("terminals") != nil)
                #expect(line("devices")?.contains(" /dev/null") == true)
                #expect(line("devices")?.contains("kvm") == false)
            }
        }
    }

    @Test func theGroupsMemoryIsABackstop() async throws {
        for build in try await Build.all() {
            try await Place.with { place in
                let runsc = place.runsc(build)
                let container = try await Running.start(
                    "echo ready; exec tail /dev/zero", with: runsc, in: place,
                    limits: CgroupLimits(memoryBytes: 128 << 20))
                defer { try? container.output.close() }
                #expect(try await container.read(until: "ready") == "ready\n")
                await ProcessWatch().ended(container.process)
                try await container.group.killAll(deadline: .seconds(20))
                try container.group.remove()
            }
        }
    }

    @Test func aGroupTooSmallForASandboxFailsTheStartAndIsLeftEmpty() async throws {
        for build in try await Build.all() {
            try await Place.with { place in
                let runsc = place.runsc(build)
                await #expect(throws: RunscError.self) {
                    try await Running.start("echo ready", with: runsc, in: place, limits: CgroupLimits(processes: 4))
                }
                for name in place.tree.names() {
                    try await place.tree.group(name).killAll(deadline: .seconds(20))
                    try place.tree.group(name).remove()
                    runsc.forget(name)
                }
                #expect(runsc.known() == [])
            }
        }
    }

    @Test func aGroupThatCannotBeJoinedStartsNothing() async throws {
        let build = try #require(try await Build.all().first)
        try await Place.with { place in
            let runsc = place.runsc(build)
            let missing = place.tree.group("missing")
            let output = try await Running.start("exit 0", with: runsc, in: place)
            try? output.output.close()
            let error = await #expect(throws: RunscError.self) {
                try await runsc.run(
                    id: "never\(UInt64.random(in: .min ... .max))", bundle: "\(place.folder)/bundle",
                    cgroup: missing.joinFiles, standardOutput: .standardError, standardError: "\(place.folder)/log",
                    pidFile: "\(place.folder)/pid")
            }
            #expect(error?.code == .failed)
            #expect(error?.message.contains("cgroup.procs") == true)
        }
    }
}
