import AsyncHTTPClient
import ComputeCore
import ComputeRuntime
import FoundationEssentials
import Glibc
import LocalRuntime
import SidekickClient
import SidekickProtocol
import TestSupport
import Testing

/// The local runtime with real Sidekicks, as processes of this machine.
@Suite(.serialized) struct ProcessIsolationTests {
    /// The moment moves through the whole start: before the fork, between fork and exec, before the first line.
    @Test(.timeLimit(.minutes(2)), arguments: [0, 5, 10, 20, 30, 45])
    func aStopDuringAStartLeavesNoProcess(afterMilliseconds delay: Int) async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 2)
        let run = Task { try await runtime.run() }
        try await Task.sleep(for: .milliseconds(delay))
        run.cancel()
        try await run.value
        await runtime.shutdown(keep: false)
        #expect(LocalWorld.processes(mentioning: world.dataDirectory) == [])
        // Nor does one come later.
        try await Task.sleep(for: .milliseconds(150))
        #expect(LocalWorld.processes(mentioning: world.dataDirectory) == [])
    }

    /// The sweep removes what is dead, and looks at any moment.
    @Test(.timeLimit(.minutes(2))) func noMemberLooksDeadWhileMembersStart() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 6)
        try await world.withRunning(runtime) {
            var dead: Set<MemberName> = []
            try await eventually {
                dead.formUnion(try await runtime.places().filter { !$0.isAlive }.map(\.member.name))
                return runtime.idleCount == 6
            }
            #expect(dead == [])
            await runtime.shutdown(keep: false)
        }
    }

    /// The sweep removes leftovers that nobody has claimed; by when it comes to it this one may be a create's.
    @Test(.timeLimit(.minutes(2))) func aMemberThatIsWarmedUpLooksLikeNoLeftover() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 1) { _ in try await Task.sleep(for: .milliseconds(300)) }
        try await world.withRunning(runtime) {
            var leftovers: Set<MemberName> = []
            try await eventually {
                let places = try await runtime.places()
                leftovers.formUnion(places.filter { $0.standing == .leftover }.map(\.member.name))
                return runtime.idleCount == 1
            }
            #expect(leftovers == [])
            await runtime.shutdown(keep: false)
        }
    }

    @Test(.timeLimit(.minutes(2))) func keepsTheContract() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 3)
        let agent = world.agent
        try await world.withRunning(runtime) {
            try await RuntimeContract(
                runtime: runtime, poolSize: 3,
                listens: { (try? await agent.state(at: $0.sidekickInternal))?.member == $0.name },
                leavesTraces: { member in
                    !LocalWorld.processes(naming: member).isEmpty
                        || FileManager.default.fileExists(atPath: world.directory(of: member))
                }
            ).checkAll()
        }
    }

    @Test(.timeLimit(.minutes(2))) func aStoppedMembersFilesAndServersAreThereInTheNext() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 1)
        try await world.withRunning(runtime) {
            try await world.checkThatADiskIsKept(runtime)
            await runtime.shutdown(keep: false)
        }
        #expect(GVisorWorld.list("\(world.dataDirectory)/homes") == [])
        #expect(GVisorWorld.list("\(world.dataDirectory)/kept") == [])
    }

    /// Killed at any point, a runtime leaves kept disks to the next one, and nothing else.
    @Test(.timeLimit(.minutes(2))) func keptDisksAreFoundByTheNextRuntime() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let id = ComputeID.random()
        let first = try world.runtime(poolSize: 0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await first.run() }
            let member = try await first.startMember(.fromPool, deadline: .now + .seconds(15))
            try await first.keepDisk(of: member.name, as: id)
            for pid in LocalWorld.processes(naming: member) { kill(pid, SIGKILL) }
            try await eventually { LocalWorld.processes(naming: member).isEmpty }
            group.cancelAll()
        }
        let second = try world.runtime(poolSize: 0)
        try await world.withRunning(second) {
            try await eventually { await second.unreadyReason() == nil }
            #expect(try await second.places().isEmpty)
            #expect(try await second.keptDisks() == [id])
            let member = try await second.startMember(MemberOrder(disk: id), deadline: .now + .seconds(15))
            #expect((try? await world.agent.state(at: member.sidekickInternal))?.member == member.name)
            await second.shutdown(keep: false)
        }
        #expect(GVisorWorld.list("\(world.dataDirectory)/kept") == [id.rawValue], "also by an orderly stop")
    }

    @Test(.timeLimit(.minutes(1))) func aPoolOfTenGivesTenDistinctMembersToAHundred() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 10)
        try await world.withRunning(runtime) {
            try await eventually { runtime.idleCount == 10 }
            let taken = await withTaskGroup(of: Member?.self) { group in
                for _ in 0..<100 { group.addTask { runtime.takeIdleMember() } }
                return await group.reduce(into: [Member]()) { all, member in if let member { all.append(member) } }
            }
            // All hundred ask before a replacement can start: that takes a process.
            #expect(Set(taken.map(\.name)).count == taken.count)
            #expect(taken.count >= 10)
            try await eventually { runtime.idleCount == 10 }
            await runtime.shutdown(keep: false)
            for member in taken { #expect(LocalWorld.processes(naming: member).isEmpty) }
        }
    }

    @Test(.timeLimit(.minutes(1))) func membersOutliveTheirRuntimeAndAreFoundByTheNext() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let first = try world.runtime(poolSize: 0)
        let (alive, dead) = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await first.run() }
            let members = (
                try await first.startMember(.fromPool, deadline: .now + .seconds(15)),
                try await first.startMember(.fromPool, deadline: .now + .seconds(15))
            )
            // Nothing is shut down: the first runtime simply is no more.
            group.cancelAll()
            return members
        }
        for pid in LocalWorld.processes(naming: dead) { kill(pid, SIGKILL) }
        try await eventually { LocalWorld.processes(naming: dead).isEmpty }
        // A start that was cut off after its directory was made.
        let cut = "\(world.dataDirectory)/members/mcutoff"
        try FileManager.default.createDirectory(atPath: cut, withIntermediateDirectories: false)

        let second = try world.runtime(poolSize: 0)
        try await world.withRunning(second) {
            try await eventually { await second.unreadyReason() == nil }
            let places = try await second.places()
            #expect(places.map(\.member) == [alive])
            #expect(places.first?.isAlive == true)
            #expect(places.first?.standing == .leftover)
            #expect(!FileManager.default.fileExists(atPath: world.directory(of: dead)))
            #expect(!FileManager.default.fileExists(atPath: cut))
            let state = try await world.agent.state(at: alive.sidekickInternal)
            #expect(state.member == alive.name)
            await second.shutdown(keep: false)
            #expect(LocalWorld.processes(naming: alive).isEmpty)
            #expect(!FileManager.default.fileExists(atPath: world.directory(of: alive)))
        }
    }

    @Test(.timeLimit(.minutes(1))) func aTakenMemberThatDiesIsListedAsDeadAndAnIdleOneIsReplaced() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 1)
        try await world.withRunning(runtime) {
            let taken = try await runtime.startMember(.fromPool, deadline: .now + .seconds(15))
            try await eventually { runtime.idleCount == 1 }
            let idle = try #require(try await runtime.places().first { $0.isIdle }?.member)
            for member in [taken, idle] {
                for pid in LocalWorld.processes(naming: member) { kill(pid, SIGKILL) }
            }
            try await eventually {
                let places = try await runtime.places()
                return runtime.idleCount == 1 && !places.contains { $0.member == idle }
                    && places.contains { $0.member == taken && !$0.isAlive }
            }
            await runtime.shutdown(keep: false)
        }
    }

    @Test(.timeLimit(.minutes(1))) func removalEndsAProcessThatMadeItsOwnSession() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 0)
        try await world.withRunning(runtime) {
            let member = try await runtime.startMember(.fromPool, deadline: .now + .seconds(15))
            let order = ClaimOrder(
                computeId: .random(), generation: .first, secret: "a secret of enough characters", env: [:],
                directory: nil,
                url: "http://x.localhost", portURLTemplate: nil)
            try await world.agent.claim(member.name, at: member.sidekickInternal, order: order)
            let marker = "99\(Int.random(in: 100_000...999_999))"
            try await world.run(
                "setsid sh -c 'setsid sleep \(marker) & wait' >/dev/null 2>&1 &", in: member,
                secret: "a secret of enough characters")
            let escaped = { LocalWorld.processes(withArgument: marker) }
            try await eventually { !escaped().isEmpty }
            try await runtime.remove(member.name)
            #expect(escaped().isEmpty)
            #expect(LocalWorld.processes(naming: member).isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aSidekickThatIsKilledLeavesNoOrphansAfterItsRemoval() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 0)
        try await world.withRunning(runtime) {
            let member = try await runtime.startMember(.fromPool, deadline: .now + .seconds(15))
            let home = "\(world.dataDirectory)/homes/\(member.name)/home"
            // An orphan as a killed Sidekick leaves it: only its home tells whose it was.
            let marker = "98\(Int.random(in: 100_000...999_999))"
            #expect(LocalWorld.spawnOrphan(["/bin/sleep", marker], home: home))
            try await eventually { !LocalWorld.processes(withArgument: marker).isEmpty }
            for pid in LocalWorld.processes(naming: member)
            where !LocalWorld.processes(withArgument: marker).contains(pid) {
                kill(pid, SIGKILL)
            }
            try await runtime.remove(member.name)
            try await eventually { LocalWorld.processes(withArgument: marker).isEmpty }
        }
    }
}
