import Glibc
import LinuxHost
import Testing

/// Needs root and control groups that can be written.
@Suite(.enabled("cgroups cannot be made here") { geteuid() == 0 }, .timeLimit(.minutes(2))) struct CgroupTests {
    private let tools = Tools.ofThisProcess

    /// A tree of the test's own; nothing of it is left afterwards.
    private func withTree(_ body: (CgroupTree) async throws -> Void) async throws {
        let tree = try CgroupTree.detect(tree: "/linuxhost-test-\(UInt64.random(in: .min ... .max))")
        defer { tree.remove() }
        let result: Result<Void, any Error>
        do { result = .success(try await body(tree)) } catch { result = .failure(error) }
        for name in tree.names() {
            try await tree.group(name).killAll(deadline: .seconds(20))
            try tree.group(name).remove()
        }
        #expect(tree.names() == [])
        try result.get()
    }

    private func withGroup(_ limits: CgroupLimits = .init(), _ body: (Cgroup) async throws -> Void) async throws {
        try await withTree { tree in
            let group = tree.group("one")
            let warnings = try group.create(limits)
            // The machines this runs on have all of them; a warning would mean that the tests below prove nothing.
            #expect(warnings.isEmpty)
            try await body(group)
        }
    }

    /// Starts a shell command in the group and goes on. It is nobody's child afterwards.
    private func start(_ command: String, in group: Cgroup) async throws -> Int32 {
        let output = try await tools.run(
            "sh",
            [
                "-c", #"c=$1; shift; for f; do echo 0 >"$f" || exit 1; done; sh -c "$c" >/dev/null 2>&1 & echo $!"#,
                "sh",
                command,
            ] + group.joinFiles)
        return try #require(Int32(output.standardOutput.split(separator: "\n").first ?? ""))
    }

    private func cpuTicks(_ process: Int32) async throws -> Int {
        let stat = try await tools.run("cat", ["/proc/\(process)/stat"]).standardOutput
        let fields = try #require(stat.split(separator: ")").last).split(separator: " ")
        return try #require(Int(fields[11])) + #require(Int(fields[12]))
    }

    @Test func whatIsStartedInAGroupIsSeenFrozenAndEndedAsOne() async throws {
        try await withGroup { group in
            let process = try await start("while :; do :; done", in: group)
            #expect(group.processes().contains(process))
            #expect(!group.isFrozen)

            try group.freeze()
            #expect(group.isFrozen)
            let before = try await cpuTicks(process)
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await cpuTicks(process) == before)

            try group.thaw()
            #expect(!group.isFrozen)
            while try await cpuTicks(process) == before { await Task.yield() }

            let watch = ProcessWatch()
            async let end: Void = watch.ended(process)
            try group.freeze()
            try await group.killAll(deadline: .seconds(20))
            await end
            #expect(group.processes() == [])
            #expect(!ProcessWatch.isRunning(process))
        }
    }

    @Test func aGroupThatYieldsLetsTheOthersOfItsTreeGoFirst() async throws {
        try await withTree { tree in
            let (yielding, other) = (tree.group("yielding"), tree.group("other"))
            for group in [yielding, other] { _ = try group.create(.init()) }
            yielding.yieldProcessor()
            // On the same core.
            let spin = "exec taskset -c 0 sh -c 'while :; do :; done'"
            let (first, second) = (try await start(spin, in: yielding), try await start(spin, in: other))
            while try await cpuTicks(second) < 5 { try await Task.sleep(for: .milliseconds(20)) }
            let before = try await cpuTicks(first)
            while try await cpuTicks(second) < 25 { try await Task.sleep(for: .milliseconds(20)) }
            #expect(try await cpuTicks(first) - before < 10)
        }
    }

    @Test func aGroupThatIsFullForksNoMore() async throws {
        try await withGroup(CgroupLimits(processes: 3)) { group in
            let process = try await start("for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait", in: group)
            await ProcessWatch().ended(process)
            #expect(group.processes().count <= 3)
        }
    }

    @Test func aGroupWithoutMemoryLosesItsHog() async throws {
        try await withGroup(CgroupLimits(memoryBytes: 32 << 20, cpus: 1)) { group in
            // One line without an end is held in memory as a whole.
            let process = try await start("exec tail /dev/zero", in: group)
            await ProcessWatch().ended(process)
            #expect(try #require(group.memoryUsageBytes()) <= 32 << 20)
        }
    }

    @Test func limitsCanBeRaisedAndLoweredLater() async throws {
        try await withGroup(CgroupLimits(memoryBytes: 64 << 20, cpus: 0.5, processes: 10)) { group in
            try group.update(CgroupLimits(memoryBytes: 128 << 20, cpus: 2, processes: 20))
            try group.update(CgroupLimits(memoryBytes: 32 << 20, cpus: 0.001, processes: 5))
            try group.update(CgroupLimits())
        }
    }

    @Test func makingAndRemovingTwiceIsNoError() async throws {
        let tree = try CgroupTree.detect(tree: "/linuxhost-test-\(UInt64.random(in: .min ... .max))")
        let group = tree.group("one")
        _ = try group.create(.init())
        _ = try group.create(.init())
        #expect(tree.names() == ["one"])
        try group.remove()
        try group.remove()
        tree.remove()
        // Somebody tidied the empty tree away.
        _ = try group.create(.init())
        try group.remove()
        tree.remove()
        #expect(!group.exists)
        #expect(group.processes() == [])
        try await group.killAll(deadline: .zero)
    }

    @Test func theMachinesVersionAndFreezerAreKnown() throws {
        let tree = try CgroupTree.detect(tree: "/linuxhost-test-\(UInt64.random(in: .min ... .max))")
        defer { tree.remove() }
        #expect(["v1", "hybrid", "v2"].contains(tree.version))
        #expect(tree.canFreeze)
    }
}
