import APIContract
import APIService
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import HTTPTypes
import SidekickProtocol
import TestSupport
import Testing

/// Who gets a compute, and what is left when it goes wrong: nothing.
struct CreateTests {
    private func named(_ name: String) -> CreateSandbox { CreateSandbox(name: SandboxName(name: name)) }

    private func expectNothingLeft(_ world: World) async throws {
        #expect(try await world.livingCount() == 0)
        #expect(try await world.claimedPlaces == 0)
        #expect(try await world.store.inner.unended(after: nil, limit: 10).isEmpty)
    }

    // MARK: - Racing

    @Test func aHundredRacingFindOrCreatesGiveOneAndLeaveNineIdle() async throws {
        let world = World(poolSize: 10)
        let ids = try await withThrowingTaskGroup(of: ComputeID.self) { group in
            for _ in 0..<100 {
                group.addTask { try await world.service.findOrCreate(named("one"), for: world.caller).id }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
        #expect(world.runtime.idleCount == 9)
        #expect(try await world.livingCount() == 1)
    }

    @Test func aRepeatWithTheSameKeyGetsTheSameEvenInFlight() async throws {
        let world = World()
        world.sidekicks.set { $0.delay = .milliseconds(20) }
        let retry = RetryKey(key: "k", fingerprint: "f")
        let ids = try await withThrowingTaskGroup(of: ComputeID.self) { group in
            for _ in 0..<20 {
                group.addTask { try await world.service.create(CreateSandbox(), retry: retry, for: world.caller).id }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
        #expect(world.runtime.idleCount == 2)
    }

    @Test func theHeaderMakesACreateRepeatable() async throws {
        let world = World()
        let field = HTTPField.Name("Idempotency-Key")!
        try await world.withAPI { api async throws in
            let first = try await api.create(#"{"timeout":5000,"envs":{"A":"b"}}"#, headers: [field: "one"])
            let again = try await api.create(#"{ "envs": {"A":"b"}, "timeout": 5000 }"#, headers: [field: "one"])
            #expect(again.sandboxID == first.sandboxID)
            let other = try await api.create(#"{"timeout":6000}"#, headers: [field: "one"])
            #expect(other.status == 409)
            #expect(other["field"] == .string("Idempotency-Key"))
            #expect(try await api.create(headers: [field: String(repeating: "k", count: 256)]).status == 400)
            #expect(try await api.create(headers: [field: ""]).status == 400)

            // Once it has ended a late repeat creates nothing in silence, for a day.
            _ = try await api.send(.delete, "/v1/sandboxes/\(first.sandboxID)")
            let late = try await api.create(#"{"timeout":5000,"envs":{"A":"b"}}"#, headers: [field: "one"])
            #expect(late.status == 409)
            world.clock.advance(by: .seconds(24 * 3600))
            let next = try await api.create(#"{"timeout":5000,"envs":{"A":"b"}}"#, headers: [field: "one"])
            #expect(next.status == 200)
            #expect(next.sandboxID != first.sandboxID)
        }
    }

    @Test func racingCreatesDoNotPassTheQuota() async throws {
        let world = World(poolSize: 20) { $0.quotas[.computes] = 5 }
        let outcomes = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    do throws(Problem) {
                        _ = try await world.service.create(CreateSandbox(), for: world.caller)
                        return 200
                    } catch {
                        return error.status
                    }
                }
            }
            return await group.reduce(into: [:] as [Int: Int]) { $0[$1, default: 0] += 1 }
        }
        #expect(outcomes == [200: 5, 429: 15])
        #expect(try await world.livingCount() == 5)
        #expect(try await world.claimedPlaces == 5)
        let problem = await #expect(throws: Problem.self) {
            try await world.service.create(named("x"), for: world.caller)
        }
        #expect(problem?.code == .quotaExceeded)
        #expect(problem?.retryAfterSeconds != nil)
    }

    // MARK: - Order of events

    @Test func anAnonymousCreateIsOneCommitAfterTheClaim() async throws {
        let world = World()
        let compute = try await world.service.create(CreateSandbox(envs: ["A": "b"]), for: world.caller)
        let events = try await world.store.events(of: .compute(compute.id))
        #expect(events.map(\.type) == ["ComputeRequested", "ComputeStarted"])
        let member = try #require(compute.member)
        let claim = try #require(world.sidekicks.claim(of: member))
        #expect(claim.computeId == compute.id)
        #expect(claim.env == ["A": "b"])
        #expect(claim.url == "http://\(compute.id).localhost:8080")
        #expect(claim.portURLTemplate == "http://\(compute.id)-{port}.localhost:8080")
        #expect(
            claim.secret
                == SidekickSecret.derive(from: world.sidekickKey, computeID: compute.id, generation: .first))
    }

    @Test func anEmptyPoolStartsOne() async throws {
        let world = World(poolSize: 0)
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        #expect(compute.state == .running)
        #expect(world.runtime.coldStarts == 1)
    }

    // MARK: - Failures

    @Test func aLostAnswerIsAskedForAgain() async throws {
        let world = World()
        world.sidekicks.set { $0.lostAnswers = 1 }
        let compute = try await world.service.create(CreateSandbox(), for: world.caller)
        let member = try #require(compute.member)
        #expect(world.sidekicks.attempts(on: member) == 2)
        #expect(world.runtime.removedNames.isEmpty)
    }

    @Test(arguments: [false, true]) func aMemberThatDoesNotAnswerIsReplaced(_ isNamed: Bool) async throws {
        let world = World()
        world.sidekicks.set { $0.lostAnswers = 2 }
        let compute = try await world.service.create(isNamed ? named("n") : CreateSandbox(), for: world.caller)
        #expect(compute.state == .running)
        #expect(await eventually { world.runtime.removedNames.count == 1 })
        #expect(try await world.claimedPlaces == 1)
    }

    @Test func aMemberOfAnotherProcessIsLeftAlone() async throws {
        let world = World()
        for member in try await world.runtime.places().prefix(1).map(\.member.name) {
            world.sidekicks.claimElsewhere(
                member,
                order: ClaimOrder(
                    computeId: .random(), generation: .first, secret: "", env: [:], directory: nil, url: "",
                    portURLTemplate: nil))
        }
        for _ in 0..<2 { _ = try await world.service.create(CreateSandbox(), for: world.caller) }
        #expect(world.runtime.removedNames.isEmpty)
        #expect(try await world.livingCount() == 2)
    }

    @Test(arguments: [false, true]) func membersThatRefuseAreRemovedAndNothingIsLeft(_ isNamed: Bool) async throws {
        let world = World()
        world.sidekicks.set { $0.refuses = true }
        let problem = await #expect(throws: Problem.self) {
            try await world.service.create(isNamed ? named("n") : CreateSandbox(), for: world.caller)
        }
        #expect(problem?.status == 503)
        try await expectNothingLeft(world)
    }

    @Test(arguments: [false, true]) func overlaysAndServersGoWithTheClaim(_ isNamed: Bool) async throws {
        let world = World()
        var request = isNamed ? named("n") : CreateSandbox()
        request.servers = [.object(["slug": .string("web")])]
        world.sidekicks.set { $0.refusedField = "servers[0].start" }
        let problem = await #expect(throws: Problem.self) {
            try await world.service.create(request, for: world.caller)
        }
        #expect(problem?.status == 400)
        #expect(problem?.field == "servers[0].start")
        try await expectNothingLeft(world)
        world.sidekicks.set { $0.refusedField = nil }
        _ = try await world.service.create(request, for: world.caller)
        let member = try #require(world.sidekicks.claimedMembers.first)
        #expect(world.sidekicks.claim(of: member)?.setup == request.setup)
    }

    @Test func anImageThatCannotBeHadSaysWhy() async throws {
        for (code, status) in [(RuntimeError.Code.badImage, 400), (.imageOutOfReach, 503)] {
            let world = World(poolSize: 1, abilities: [.images])
            world.runtime.set { $0.startFailure = RuntimeError(code, "the image i:1 could not be found: its reason") }
            let problem = await #expect(throws: Problem.self) {
                try await world.service.create(CreateSandbox(image: "i:1"), for: world.caller)
            }
            #expect(problem?.status == status && problem?.message.contains("its reason") == true)
            #expect(problem?.field == (status == 400 ? "image" : nil))
            try await expectNothingLeft(world)
        }
    }

    /// Every other member would say the same: the pool is not asked through.
    @Test(arguments: [false, true]) func aDirectoryThatCannotBeIsTheCallersProblemAndCostsOneMember(
        _ isNamed: Bool
    ) async throws {
        let world = World()
        var request = isNamed ? named("n") : CreateSandbox()
        request.directory = "/proc/x"
        world.sidekicks.set { $0.refusedField = "directory" }
        let problem = await #expect(throws: Problem.self) {
            try await world.service.create(request, for: world.caller)
        }
        #expect(problem?.status == 400 && problem?.field == "directory")
        #expect(world.runtime.removedNames.count == 1)
        try await expectNothingLeft(world)
    }

    @Test(arguments: ["ComputeRequested", "ComputeStarted"], [false, true])
    func aFailedCommitLeavesNothing(_ type: String, _ isNamed: Bool) async throws {
        let world = World()
        world.store.failCommits { $0.types.contains(type) }
        let request = isNamed ? named("n") : CreateSandbox()
        let problem = await #expect(throws: Problem.self) {
            try await world.service.create(request, for: world.caller)
        }
        #expect(problem?.status == 503)
        try await expectNothingLeft(world)
        world.store.failCommits(nil)
        #expect(try await world.service.create(request, for: world.caller).state == .running)
    }

    @Test(arguments: [
        RuntimeError(.outOfCapacity, "full"), RuntimeError(.deadlineExceeded, "slow"),
        RuntimeError(.unavailable, "down"),
    ]) func aFailedColdStartIsAnHonest503AndFreesTheName(_ failure: RuntimeError) async throws {
        let world = World(poolSize: 0)
        world.runtime.set { $0.startFailure = failure }
        let retry = RetryKey(key: "k", fingerprint: "f")
        let problem = await #expect(throws: Problem.self) {
            try await world.service.create(named("n"), retry: retry, for: world.caller)
        }
        #expect(problem?.status == 503)
        #expect(problem?.retryAfterSeconds != nil)
        try await expectNothingLeft(world)
        world.runtime.set { $0.startFailure = nil }
        #expect(try await world.service.create(named("n"), retry: retry, for: world.caller).state == .running)
    }

    @Test func aSlowColdStartEndsAtItsDeadline() async throws {
        let world = World(poolSize: 0) { $0.coldStartDeadline = .milliseconds(20) }
        world.runtime.set { $0.startDelay = .seconds(30) }
        let problem = await #expect(throws: Problem.self) {
            try await world.service.findOrCreate(named("n"), for: world.caller)
        }
        #expect(problem?.status == 503)
        try await expectNothingLeft(world)
    }

    @Test func aClientThatHangsUpLeavesNothingHalfDone() async throws {
        let world = World()
        world.sidekicks.set { $0.delay = .milliseconds(50) }
        let request = Task { try await world.service.create(CreateSandbox(), for: world.caller) }
        request.cancel()
        _ = await request.result
        await world.service.close()
        #expect(try await world.livingCount() == Int64(try await world.claimedPlaces))
    }

    @Test func nothingIsCreatedOnceTheServiceCloses() async throws {
        let world = World()
        await world.service.close()
        let problem = await #expect(throws: Problem.self) {
            try await world.service.create(CreateSandbox(), for: world.caller)
        }
        #expect(problem?.status == 503)
        try await expectNothingLeft(world)
    }

    // MARK: - Names of the dead

    @Test func aNameOfAnExpiredOrDeadSandboxIsGivenToANewOne() async throws {
        let world = World(poolSize: 3)
        let first = try await world.service.findOrCreate(named("n"), for: world.caller)
        #expect(try await world.service.findOrCreate(named("n"), for: world.caller).id == first.id)
        world.runtime.kill(try #require(first.member))
        let second = try await world.service.findOrCreate(named("n"), for: world.caller)
        #expect(second.id != first.id)
        #expect(try await world.store.inner.summary(first.id, in: nil)?.endReason == .lost)
        world.clock.advance(by: .seconds(900))
        let third = try await world.service.findOrCreate(named("n"), for: world.caller)
        #expect(third.id != second.id)
        #expect(try await world.store.inner.summary(second.id, in: nil)?.endReason == .expired)
        #expect(try await world.livingCount() == 1)
    }
}
