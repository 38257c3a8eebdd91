import ComputeCore
import ComputeRuntime
import TestSupport
import Testing

/// The double keeps the same promises as the real runtimes; otherwise what is tested with it proves nothing.
@Suite struct InMemoryRuntimeTests {
    @Test(
        arguments: [[], [.filesystems], [.network], [.keepDisk], [.freeze, .network, .keepDisk]] as [RuntimeAbilities])
    func keepsTheContract(abilities: RuntimeAbilities) async throws {
        let runtime = InMemoryRuntime(poolSize: 10, abilities: abilities)
        let sidekicks = InMemorySidekicks(of: runtime)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runtime.run() }
            try await RuntimeContract(
                runtime: runtime, poolSize: 10,
                listens: { (try? await sidekicks.state(at: $0.sidekickInternal)) != nil },
                leavesTraces: { runtime.isAlive($0.name) }
            ).checkAll()
            group.cancelAll()
        }
    }

    @Test func withoutRunAPoolOfTenGivesTenAndNoMore() async {
        let runtime = InMemoryRuntime(poolSize: 10)
        let taken = await withTaskGroup(of: Member?.self) { group in
            for _ in 0..<100 { group.addTask { runtime.takeIdleMember() } }
            return await group.reduce(into: [Member]()) { all, member in if let member { all.append(member) } }
        }
        #expect(taken.count == 10)
        #expect(Set(taken).count == 10)
    }

    @Test func aMemberThatDiesIdleIsNotGiven() async throws {
        let runtime = InMemoryRuntime(poolSize: 1)
        let place = try #require(try await runtime.places().first)
        runtime.kill(place.member.name)
        #expect(runtime.takeIdleMember() == nil)
    }

    @Test func aSlowStartIsCutAtItsDeadline() async {
        let runtime = InMemoryRuntime()
        runtime.set { $0.startDelay = .seconds(60) }
        let error = await #expect(throws: RuntimeError.self) {
            try await runtime.startMember(.fromPool, deadline: .now + .milliseconds(20))
        }
        #expect(error?.code == .deadlineExceeded)
    }
}
