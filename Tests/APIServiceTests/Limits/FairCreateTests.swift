import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import Logging
import TestSupport
import Testing

/// One group's burst of creates beside another group.
struct FairCreateTests {
    private let other = Caller(group: GroupID("other"), metadata: EventMetadata(actor: "key:other"))

    /// What another group waits for is what stands before it, not what waits.
    @Test(arguments: [0, 400]) func aBurstStandsInNobodysWay(poolSize: Int) async throws {
        let world = World(poolSize: poolSize) {
            $0.quotas = GroupQuotas()
            $0.coldStartDeadline = .seconds(25)
        }
        world.sidekicks.set { $0.delay = .milliseconds(5) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<300 {
                group.addTask { _ = try await world.service.create(CreateSandbox(), for: world.caller) }
            }
            #expect(await eventually { try await world.livingCount() > 0 })
            // Those that have their place: what else is on record waits as the other one does.
            let before = try await world.claimedPlaces
            _ = try await world.service.create(CreateSandbox(), for: other)
            let meanwhile = try await world.claimedPlaces - before
            #expect(meanwhile < 60, "\(meanwhile) of the burst went before the other group's one")
            try await group.waitForAll()
        }
        #expect(try await world.livingCount() == 300)
    }

    /// Starts that take for ever take no place from others.
    @Test func aGroupWhoseStartsHangHoldsUpNobodyElse() async throws {
        let world = World(poolSize: 0, abilities: [.images]) {
            $0.coldStartDeadline = .seconds(60)
            $0.drainDeadline = .milliseconds(100)
        }
        world.runtime.set { $0.startDelay = .seconds(120) }
        let clock = ContinuousClock()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<40 {
                group.addTask {
                    do throws(Problem) {
                        _ = try await world.service.create(CreateSandbox(), for: world.caller)
                        return 200
                    } catch {
                        return error.status
                    }
                }
            }
            #expect(await eventually { world.runtime.coldStarts >= 8 })
            world.runtime.set { $0.startDelay = .zero }
            let time = try await clock.measure { _ = try await world.service.create(CreateSandbox(), for: other) }
            #expect(time < .seconds(30), "those that hang do so for a minute")
            await world.service.close()
            try await group.waitForAll()
        }
    }

    @Test func whoseTurnDoesNotComeIsToldSoAndLeavesNothing() async throws {
        let world = World(poolSize: 0) {
            $0.startTurns = .init(places: 2, placesOfOne: 1, waitingOfOne: 3)
            $0.coldStartDeadline = .milliseconds(300)
        }
        world.runtime.set { $0.startDelay = .seconds(30) }
        let statuses = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<10 {
                group.addTask {
                    do throws(Problem) {
                        _ = try await world.service.create(CreateSandbox(), for: world.caller)
                        return 200
                    } catch {
                        return error.retryAfterSeconds == nil ? 0 : error.status
                    }
                }
            }
            return await group.reduce(into: [:] as [Int: Int]) { $0[$1, default: 0] += 1 }
        }
        #expect(statuses == [503: 10])
        #expect(try await world.livingCount() == 0)
        #expect(try await world.claimedPlaces == 0)
        world.runtime.set { $0.startDelay = .zero }
        #expect(try await world.service.create(CreateSandbox(), for: world.caller).state == .running, "nothing is held")
    }

    @Test func aStopEndsThoseThatWait() async throws {
        let world = World(poolSize: 0) {
            $0.startTurns = .init(places: 2, placesOfOne: 1)
            $0.coldStartDeadline = .seconds(60)
            $0.drainDeadline = .milliseconds(100)
        }
        world.runtime.set { $0.startDelay = .seconds(120) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<5 {
                group.addTask { _ = try? await world.service.create(CreateSandbox(), for: world.caller) }
            }
            #expect(await eventually { world.runtime.coldStarts > 0 })
            let time = await ContinuousClock().measure { await world.service.close() }
            #expect(time < .seconds(30))
            try await group.waitForAll()
        }
        #expect(try await world.livingCount() == 0)
    }

    /// The pool's members do not answer, and what needs none of them goes on: of the same group, too.
    @Test func sidekicksThatHangHoldUpNothingThatNeedsNoneOfThePool() async throws {
        let world = World(poolSize: 40, abilities: [.images]) {
            $0.createDeadline = .seconds(3)
            $0.claimTimeout = .seconds(30)
        }
        world.sidekicks.set { $0.delay = .seconds(60) }
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    do throws(Problem) {
                        _ = try await world.service.create(CreateSandbox(), for: world.caller)
                        return 200
                    } catch {
                        return error.retryAfterSeconds == nil ? 0 : error.status
                    }
                }
            }
            #expect(await eventually { world.runtime.idleCount <= 32 })
            // While those claims hang its own is answered.
            world.sidekicks.set { $0.delay = .zero }
            let wanted = CreateSandbox(name: SandboxName(name: "beside"), image: "debian")
            #expect(try await world.service.create(wanted, for: world.caller).state == .running)
            world.sidekicks.set { $0.delay = .seconds(60) }
            return try await group.reduce(into: [:] as [Int: Int]) { $0[$1, default: 0] += 1 }
        }
        #expect(statuses == [503: 20])
        #expect(try await world.livingCount() == 1)
        #expect(try await world.claimedPlaces == 1)
    }

    /// Turn, start and claim share what time there is, so that the client hears of it before it gives up.
    @Test(arguments: [nil, "one"]) func aCreateHasOneDeadlineForAllThatItWaitsFor(name: String?) async throws {
        let world = World(poolSize: 0) {
            $0.createDeadline = .seconds(2)
            $0.coldStartDeadline = .seconds(60)
            $0.claimTimeout = .seconds(60)
        }
        world.runtime.set { $0.startDelay = .seconds(1) }
        world.sidekicks.set { $0.delay = .seconds(120) }
        let time = await ContinuousClock().measure {
            do throws(Problem) {
                _ = try await world.service.create(
                    CreateSandbox(name: name.map { SandboxName(name: $0) }), for: world.caller)
                Issue.record("nothing answers the claim")
            } catch {
                #expect(error.status == 503 && error.retryAfterSeconds != nil, "\(error)")
            }
        }
        #expect(time < .seconds(20), "the claim alone would take a minute")
        #expect(try await world.livingCount() == 0)
        #expect(try await world.claimedPlaces == 0)
    }

    /// The packet filter, say, and nobody can stop it.
    @Test(arguments: [(0, "one"), (3, nil)]) func aNetworkThatIsNotNarrowedInTimeIsNotWaitedFor(
        poolSize: Int, name: String?
    ) async throws {
        let world = World(poolSize: poolSize, abilities: [.network]) { $0.createDeadline = .seconds(2) }
        let gate = Gate()
        world.runtime.set { $0.beforeNetwork = { _ in await gate.pass() } }
        var order = CreateSandbox(name: name.map { SandboxName(name: $0) })
        order.network = NetworkPolicy(internet: false)
        let wanted = order
        let problem = await #expect(throws: Problem.self) {
            try await world.service.create(wanted, for: world.caller)
        }
        #expect(problem?.status == 503 && problem?.retryAfterSeconds != nil, "\(problem?.message ?? "")")
        #expect(gate.waiting == 1)
        #expect(world.sidekicks.claimedMembers.isEmpty)
        #expect(try await world.livingCount() == 0)
        #expect(try await world.claimedPlaces == 0)
        gate.open()
    }

    /// A member that is no use may take its time to go.
    @Test func removalsStandInNobodysWay() async throws {
        let world = World(poolSize: 3) { $0.claimTurns = .init(places: 2, placesOfOne: 1) }
        let gate = Gate()
        world.runtime.set { $0.beforeRemoval = { await gate.pass() } }
        world.sidekicks.set { $0.lostClaims = 2 }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask { _ = try await world.service.create(CreateSandbox(), for: world.caller) }
            }
            #expect(await eventually { try await world.livingCount() == 2 })
            #expect(gate.waiting == 1 && world.runtime.removedNames.isEmpty)
            gate.open()
            try await group.waitForAll()
        }
        #expect(await eventually { world.runtime.removedNames.count == 1 })
    }

    @Test func aPlaceThatStartedInTimeMayStillBeClaimed() {
        let settings = World().settings
        let usual = APISettings(listen: settings.listen, internalListen: settings.internalListen, urls: settings.urls)
        #expect(usual.createDeadline - usual.coldStartDeadline > usual.claimTimeout)
    }

    /// Whoever waits for another one's create has his own deadline, not the other one's.
    @Test func whoWaitsForAnotherCreateWaitsNoLongerThanHeMay() async throws {
        let world = World(poolSize: 0) { $0.coldStartDeadline = .seconds(60) }
        world.runtime.set { $0.startDelay = .seconds(40) }
        var settings = world.settings
        settings.createDeadline = .seconds(1)
        let impatient = ComputeService(ports: world.ports, settings: settings, logger: Logger(label: "test"))
        let wanted = CreateSandbox(name: SandboxName(name: "one"))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = try? await world.service.findOrCreate(wanted, for: world.caller) }
            #expect(await eventually { world.runtime.coldStarts > 0 })
            do throws(Problem) {
                _ = try await impatient.findOrCreate(wanted, for: world.caller)
                Issue.record("it is not there yet")
            } catch {
                #expect(error.status == 503 && error.retryAfterSeconds != nil, "\(error)")
            }
            group.cancelAll()
            await world.service.close()
        }
    }

    /// What is recorded happened when it was recorded, however long that had to wait.
    @Test(arguments: [0, 3]) func theTimeOfACreateIsThatOfItsCommit(poolSize: Int) async throws {
        let world = World(poolSize: poolSize) { $0.createTurns = .init(places: 2, placesOfOne: 1) }
        let gate = Gate()
        world.store.delayCommits { await gate.pass() }
        try await withThrowingTaskGroup(of: ComputeSummary.self) { group in
            for _ in 0..<2 { group.addTask { try await world.service.create(CreateSandbox(), for: world.caller) } }
            #expect(await eventually { gate.waiting == 1 })
            let began = world.clock.now()
            world.clock.advance(by: .seconds(60))
            gate.open()
            var created: [WallTime] = []
            for try await compute in group { created.append(compute.createdAt) }
            #expect(created.sorted() == [began, began + .seconds(60)])
        }
    }
}
