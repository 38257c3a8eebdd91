import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import SidekickProtocol
import TestSupport
import Testing

/// Lifetimes and the sweep.
struct RepairTests {
    @Test func theReaperEndsWhatIsOverAndSleepsUntilTheNext() async throws {
        let world = World()
        let short = try await world.service.create(CreateSandbox(timeout: .seconds(1)), for: world.caller)
        let long = try await world.service.create(CreateSandbox(timeout: .milliseconds(1500)), for: world.caller)
        #expect(await world.server.reaper.step() == .seconds(1))
        #expect(try await world.livingCount() == 2)
        world.clock.advance(by: .seconds(1))
        #expect(await world.server.reaper.step() == .milliseconds(500))
        #expect(try await world.store.inner.summary(short.id, in: nil)?.endReason == .expired)
        let shortMember = try #require(short.member)
        #expect(world.runtime.removedNames == [shortMember])
        #expect(try await world.store.inner.summary(long.id, in: nil)?.state == .running)
        world.clock.advance(by: .milliseconds(500))
        #expect(await world.server.reaper.step() == .seconds(1))
        #expect(try await world.livingCount() == 0)
    }

    @Test func theReaperLeavesWhatWasExtended() async throws {
        let world = World()
        let compute = try await world.service.create(CreateSandbox(timeout: .seconds(1)), for: world.caller)
        _ = try await world.service.extend(compute.id, by: .seconds(10), for: world.caller)
        world.clock.advance(by: .seconds(10))
        _ = await world.server.reaper.step()
        #expect(try await world.livingCount() == 1)
        world.clock.advance(by: .seconds(1))
        _ = await world.server.reaper.step()
        #expect(try await world.livingCount() == 0)
    }

    @Test func aDeadPlaceEndsItsRecordAsLost() async throws {
        let world = World()
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        let other = try await world.service.create(CreateSandbox(), for: world.caller)
        world.runtime.kill(try #require(compute.member))
        await world.server.sweep.step()
        #expect(try await world.store.inner.summary(compute.id, in: nil)?.endReason == .lost)
        #expect(try await world.store.inner.summary(other.id, in: nil)?.state == .running)
        #expect(try await world.claimedPlaces == 1)
    }

    @Test func leftoversThatNobodyClaimedGoAtOnceAndClaimedOnesAfterAGrace() async throws {
        let world = World()
        let unclaimed = world.runtime.addLeftover()
        let claimed = world.runtime.addLeftover()
        let dead = world.runtime.addLeftover(isAlive: false)
        world.sidekicks.claimElsewhere(
            claimed.name,
            order: ClaimOrder(
                computeId: .random(), generation: .first, secret: "", env: [:], directory: nil, url: "",
                portURLTemplate: nil))
        await world.server.sweep.step()
        #expect(Set(world.runtime.removedNames) == [unclaimed.name, dead.name])
        world.clock.advance(by: .seconds(59))
        await world.server.sweep.step()
        #expect(world.runtime.removedNames.count == 2)
        world.clock.advance(by: .seconds(2))
        await world.server.sweep.step()
        #expect(world.runtime.removedNames.contains(claimed.name))
        #expect(world.runtime.idleCount == 3)
    }

    @Test func aTakenPlaceWithoutARecordGoesAfterTheGrace() async throws {
        let world = World()
        let member = try #require(world.runtime.takeIdleMember())
        await world.server.sweep.step()
        #expect(world.runtime.removedNames.isEmpty)
        world.clock.advance(by: .seconds(61))
        await world.server.sweep.step()
        #expect(world.runtime.removedNames == [member.name])
    }

    @Test func aPlaceThatCouldNotBeRemovedIsRemovedLater() async throws {
        let world = World()
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        world.runtime.set { $0.removeFailure = RuntimeError(.unavailable, "told to fail") }
        try await world.service.delete(compute.id, for: world.caller)
        world.runtime.set { $0.removeFailure = nil }
        world.clock.advance(by: .seconds(61))
        await world.server.sweep.step()
        let member = try #require(compute.member)
        #expect(world.runtime.removedNames == [member])
    }

    @Test func requestsOfAnEarlierProcessAreEnded() async throws {
        let world = World()
        let id = ComputeID.random()
        func request(_ id: ComputeID, at time: WallTime) async throws {
            let spec = ComputeSpec(name: "n-\(id)", timeout: .seconds(60))
            _ = try await world.store.commit(
                .compute(
                    id, in: .default, expectedVersion: 0, before: Compute.initial, events: [.requested(spec, at: time)],
                    metadata: .system, at: time))
        }
        try await request(id, at: WallTime(milliseconds: world.clock.now().milliseconds - 1))
        // Another replica's, perhaps: left alone until it is too old for any create.
        let fresh = ComputeID.random()
        try await request(fresh, at: world.clock.now())
        await world.server.sweep.step()
        #expect(try await world.store.inner.summary(id, in: nil)?.endReason == .startFailed)
        #expect(try await world.livingCount() == 1)
        world.clock.advance(by: .seconds(61))
        await world.server.sweep.step()
        #expect(try await world.livingCount() == 0)
    }

    @Test func aShutdownThatLeavesNothingEndsAll() async throws {
        let world = World()
        for _ in 0..<3 { _ = try await world.service.create(CreateSandbox(), for: world.caller) }
        await world.service.endAll(.shutdown)
        #expect(try await world.livingCount() == 0)
        #expect(try await world.claimedPlaces == 0)
    }

    @Test func theFirstKeyIsMadeOnceAndAPresetStaysValid() async throws {
        let world = World()
        let keys = world.server.keys
        let made = try #require(try await keys.bootstrap(preset: nil))
        #expect(try await keys.bootstrap(preset: nil) == nil)
        #expect(try await keys.bearer(of: made)?.group == .default)
        let preset = "a-preset-key-of-length"
        #expect(try await keys.bootstrap(preset: preset) == nil, "its owner has it: nothing to show")
        #expect(try await keys.bootstrap(preset: preset) == nil)
        #expect(try await keys.bearer(of: preset) != nil)
        #expect(try await keys.bearer(of: made) != nil)
        await #expect(throws: APIKeysError.self) { try await keys.bootstrap(preset: "short") }
    }

    @Test func theFirstKeyIsValidOnlyAfterItWasKept() async throws {
        struct DiskFull: Error {}
        let keys = World().server.keys
        await #expect(throws: APIKeysError.self) {
            try await keys.bootstrap(preset: nil) { _ in throw DiskFull() }
        }
        var kept: String?
        let made = try await keys.bootstrap(preset: nil) { kept = $0 }
        #expect(made != nil && kept == made, "a start that failed before must not have used up the first key")
    }
}
