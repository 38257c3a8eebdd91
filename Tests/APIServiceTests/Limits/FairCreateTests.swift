import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
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
            while try await world.livingCount() == 0 { await Task.yield() }
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
            while world.runtime.coldStarts < 8 { await Task.yield() }
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
            while world.runtime.coldStarts == 0 { await Task.yield() }
            let time = await ContinuousClock().measure { await world.service.close() }
            #expect(time < .seconds(30))
            try await group.waitForAll()
        }
        #expect(try await world.livingCount() == 0)
    }
}
