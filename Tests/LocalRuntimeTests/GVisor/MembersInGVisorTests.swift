import ComputeCore
import ComputeRuntime
import FoundationEssentials
import Glibc
import LocalRuntime
import TestSupport
import Testing

// Skipped where nobody is root or there is no runsc.
@Suite(.enabled(if: !GVisorBuild.available.isEmpty), .serialized)
struct MembersInGVisorTests {
    @Test(.timeLimit(.minutes(4)), arguments: GVisorBuild.available)
    func keepsTheContract(_ build: GVisorBuild) async throws {
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let runtime = try await world.runtime(build, poolSize: 2) { $0.groundsAhead = 2 }
        try await world.local.withRunning(runtime) {
            try await RuntimeContract(
                runtime: runtime, poolSize: 2, patience: .seconds(60), listens: { await world.listens($0) },
                leavesTraces: { member in
                    world.members.contains { $0.contains(member.name.rawValue) }
                        || !LocalWorld.processes(naming: member).isEmpty
                }
            ).checkAll()
        }
        #expect(try await world.left() == [])
        #expect(world.ground == [])
        #expect(try await !world.hasTable())
    }

    @Test(.timeLimit(.minutes(4)), arguments: GVisorBuild.available)
    func aStoppedMembersFilesAndServersAreThereInTheNext(_ build: GVisorBuild) async throws {
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let runtime = try await world.runtime(build, poolSize: 1)
        try await world.local.withRunning(runtime) {
            try await world.local.checkThatADiskIsKept(runtime)
            await runtime.shutdown(keep: false)
        }
        try await eventually(.seconds(30)) { world.members.isEmpty }
        #expect(world.ground == [])
        #expect(GVisorWorld.list("\(world.dataDirectory)/kept") == [])
    }

    /// Killed between keeping and stopping, and the machine with it: the disk is there, its limit and all.
    @Test(.timeLimit(.minutes(4)), arguments: GVisorBuild.available)
    func keptDisksAreFoundByTheNextRuntimeWithTheirLimit(_ build: GVisorBuild) async throws {
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let id = ComputeID.random()
        let first = try await world.runtime(build, poolSize: 0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await first.run() }
            try await eventually(.seconds(60)) { await first.unreadyReason() == nil }
            let order = MemberOrder(resources: ComputeResources(diskBytes: 96 << 20))
            let member = try await first.startMember(order, deadline: .now + .seconds(60))
            try await first.keepDisk(of: member.name, as: id)
            for pid in world.processes(of: member) { kill(pid, SIGKILL) }
            try await eventually { world.processes(of: member).isEmpty }
            group.cancelAll()
        }
        let second = try await world.runtime(build, poolSize: 0)
        try await world.local.withRunning(second) {
            try await eventually(.seconds(60)) { await second.unreadyReason() == nil }
            #expect(try await second.places().isEmpty)
            // But for the device of its disk, which the kernel ends in a moment.
            try await eventually(.seconds(30)) { world.members.isEmpty }
            #expect(try await second.keptDisks() == [id])
            let member = try await second.startMember(MemberOrder(disk: id), deadline: .now + .seconds(60))
            #expect(await world.listens(member))
            var disk = statvfs()
            statvfs("\(world.dataDirectory)/members/\(member.name)/disk/layer", &disk)
            #expect((80...96).contains(Int(disk.f_blocks * disk.f_frsize) >> 20), "it is as large as it was")
            await second.shutdown(keep: false)
        }
        try await eventually(.seconds(30)) { world.members.isEmpty }
        #expect(GVisorWorld.list("\(world.dataDirectory)/kept") == [id.rawValue], "also after an orderly stop")
    }

    @Test(.timeLimit(.minutes(3)), arguments: GVisorBuild.available)
    func idleMembersAreFrozenAndTakenOnesRun(_ build: GVisorBuild) async throws {
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let runtime = try await world.runtime(build, poolSize: 1)
        try await world.local.withRunning(runtime) {
            try await eventually(.seconds(60)) {
                guard let idle = try await runtime.places().first(where: \.isIdle)?.member else { return false }
                return world.isFrozen(idle)
            }
            let member = try #require(runtime.takeIdleMember())
            #expect(!world.isFrozen(member))
            #expect(await world.listens(member))
            await runtime.shutdown(keep: false)
        }
        #expect(try await world.left() == [])
    }

    /// A crash is a runtime that simply is no more.
    @Test(.timeLimit(.minutes(4)), arguments: GVisorBuild.available)
    func afterACrashTakenMembersLiveAndEverythingElseIsGone(_ build: GVisorBuild) async throws {
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let first = try await world.runtime(build, poolSize: 1)
        let (alive, dead, idle) = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await first.run() }
            let members = (
                try await first.startMember(.fromPool, deadline: .now + .seconds(60)),
                try await first.startMember(.fromPool, deadline: .now + .seconds(60))
            )
            try await eventually(.seconds(60)) { first.idleCount == 1 }
            let idle = try #require(try await first.places().first(where: \.isIdle)?.member)
            group.cancelAll()
            return (members.0, members.1, idle)
        }
        for pid in world.processes(of: dead) { kill(pid, SIGKILL) }
        try await eventually { world.processes(of: dead).isEmpty }
        // The crash came between the mark and the thaw of a member that somebody was about to take.
        try await first.freeze(alive.name)
        // A start that was cut off after its directory was made.
        mkdir("\(world.dataDirectory)/members/mcutoff", 0o700)

        let second = try await world.runtime(build, poolSize: 0)
        try await world.local.withRunning(second) {
            try await eventually(.seconds(60)) { await second.unreadyReason() == nil }
            let places = try await second.places()
            #expect(places.map(\.member) == [alive])
            #expect(places.first?.isAlive == true)
            #expect(places.first?.standing == .leftover)
            #expect(await world.listens(alive))
            let left = world.members
            #expect(!left.contains { $0.contains(dead.name.rawValue) || $0.contains(idle.name.rawValue) })
            #expect(!left.contains("mcutoff"))
            await second.shutdown(keep: false)
        }
        #expect(try await world.left() == [])
        #expect(world.ground == [])
    }

    /// What waited for a group is nobody's any more, and what was taken lives.
    @Test(.timeLimit(.minutes(4)), arguments: GVisorBuild.available)
    func afterACrashNothingWaitsInThePoolsOfGroups(_ build: GVisorBuild) async throws {
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let order = MemberOrder(resources: ComputeResources(memoryBytes: 96 << 20))
        let pool = PoolOrder(id: .random(), group: .default, members: order, target: 1)
        let first = try await world.runtime(build, poolSize: 0)
        let (taken, idle) = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await first.run() }
            first.setPools([pool])
            try await eventually(.seconds(60)) { first.pools[pool.id]?.idle == 1 }
            let taken = try #require(first.takeIdleMember(of: pool.id, order))
            try await eventually(.seconds(60)) { first.pools[pool.id]?.idle == 1 }
            let idle = try #require(try await first.places().first(where: \.isIdle)?.member)
            group.cancelAll()
            return (taken, idle)
        }
        let second = try await world.runtime(build, poolSize: 0)
        try await world.local.withRunning(second) {
            try await eventually(.seconds(60)) { await second.unreadyReason() == nil }
            #expect(try await second.places().map(\.member) == [taken])
            #expect(second.pools.isEmpty, "until it is told again")
            #expect(!world.members.contains { $0.contains(idle.name.rawValue) })
            second.setPools([pool])
            try await eventually(.seconds(60)) { second.pools[pool.id]?.idle == 1 }
            #expect(second.takeIdleMember(of: pool.id, order).map { $0 != idle && $0 != taken } == true)
            await second.shutdown(keep: false)
        }
        #expect(world.members == [])
        #expect(world.ground == [])
    }

    /// Five addresses, all of them given to what waits.
    @Test(.timeLimit(.minutes(4)), arguments: GVisorBuild.available)
    func whatWaitsInPoolsOfGroupsMakesRoomForWhatIsAskedFor(_ build: GVisorBuild) async throws {
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let (waiting, other) = (
            MemberOrder(resources: ComputeResources(memoryBytes: 96 << 20)),
            MemberOrder(resources: ComputeResources(memoryBytes: 112 << 20))
        )
        let pool = PoolOrder(id: .random(), group: .default, members: waiting, target: 5)
        let runtime = try await world.runtime(build, poolSize: 0) { $0.subnet = "10.231.78.0/29" }
        try await world.local.withRunning(runtime) {
            runtime.setPools([pool])
            try await eventually(.seconds(60)) { runtime.pools[pool.id]?.idle == 5 }
            for _ in 0..<2 { _ = try await runtime.startMember(other, deadline: .now + .seconds(60)) }
            #expect(runtime.pools[pool.id].map { $0.idle <= 3 && $0.failure?.code == .outOfCapacity } == true)
            _ = try await runtime.startMember(.fromPool, deadline: .now + .seconds(60))
            let places = try await runtime.places()
            #expect(places.count { !$0.isIdle && $0.isAlive } == 3)
            await runtime.shutdown(keep: false)
        }
        #expect(world.members == [])
    }

    @Test(.timeLimit(.minutes(3))) func twoInstancesOnOneMachineDoNotTouchEachOther() async throws {
        let build = try #require(GVisorBuild.available.first)
        let (one, other) = (GVisorWorld(), GVisorWorld())
        defer {
            one.local.removeDataDirectory()
            other.local.removeDataDirectory()
        }
        #expect(one.tag != other.tag)
        let first = try await one.runtime(build, poolSize: 1)
        let second = try await other.runtime(build, poolSize: 1)
        try await one.local.withRunning(first) {
            try await other.local.withRunning(second) {
                let mine = try await first.startMember(.fromPool, deadline: .now + .seconds(60))
                let others = try await second.startMember(.fromPool, deadline: .now + .seconds(60))
                #expect(mine.portHost != others.portHost)
                await second.shutdown(keep: false)
                #expect(try await other.left() == [] && other.ground == [])
                #expect(await one.listens(mine))
            }
            await first.shutdown(keep: false)
        }
        #expect(try await one.left() == [] && one.ground == [])
    }

    @Test(.timeLimit(.minutes(1))) func anImageThatIsNoneIsTheCallersMistake() async throws {
        let build = try #require(GVisorBuild.available.first)
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let runtime = try await world.runtime(build, poolSize: 0)
        try await world.local.withRunning(runtime) {
            try await eventually(.seconds(60)) { await runtime.unreadyReason() == nil }
            for image in ["oci:/etc", "Not An Image", "a//b"] {
                let error = await #expect(throws: RuntimeError.self) {
                    try await runtime.startMember(MemberOrder(image: image), deadline: .now + .seconds(20))
                }
                #expect(error?.code == .badImage)
            }
            await runtime.shutdown(keep: false)
        }
    }

    @Test(.timeLimit(.minutes(2))) func whatAKilledProcessLeftOfAnImageGoesAtTheStartAndWhatIsBeingMadeStays()
        async throws
    {
        let build = try #require(GVisorBuild.available.first)
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let runtime = try await world.runtime(build, poolSize: 0)
        let images = "\(world.dataDirectory)/images"
        let (left, making) = (
            "sha256-\(String(repeating: "a", count: 64))", "sha256-\(String(repeating: "b", count: 64))"
        )
        for name in ["partial-\(left)", "partial-\(making)", "locks"] {
            try FileManager.default.createDirectory(atPath: "\(images)/\(name)", withIntermediateDirectories: true)
        }
        // As whoever makes an image holds it: another open file, as good as another process.
        let lock = open("\(images)/locks/\(making)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(lock) }
        #expect(flock(lock, LOCK_EX | LOCK_NB) == 0)
        try await world.local.withRunning(runtime) {
            try await eventually(.seconds(60)) { await runtime.unreadyReason() == nil }
            #expect(access("\(images)/partial-\(left)", F_OK) != 0)
            #expect(access("\(images)/partial-\(making)", F_OK) == 0)
            await runtime.shutdown(keep: false)
        }
    }

    @Test func whereThereIsNoRunscTheReasonIsGiven() async throws {
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let error = await #expect(throws: RuntimeError.self) {
            try await world.runtime(GVisorBuild(runsc: "/nonexistent/runsc", platform: "ptrace"), poolSize: 0)
        }
        #expect(error?.message.contains("/nonexistent/runsc") == true)
        #expect(world.ground == [])
    }
}
