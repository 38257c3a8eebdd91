import Foundation
import Subprocess
import Synchronization
import Testing

/// One served system per gVisor, started before the first test of a suite and ended after its last: a start is slow.
struct SharedSystems: Sendable {
    @TaskLocal static var current: SharedSystems?

    /// Small, so that they are full at once.
    static let limits = [
        "COMPUTESDK_MEMORY_MIB": "256", "COMPUTESDK_DISK_MIB": "192", "COMPUTESDK_MAX_PROCESSES": "64",
        "COMPUTESDK_POOL_SIZE": "1",
    ]

    private let systems: [GVisorPair: Place]
    let internet: StandInInternet

    private struct Place: Sendable {
        let system: ServedSystem
        let url: Task<String, any Error>
    }

    /// A new compute of the suite's system on `pair`; it is deleted afterwards.
    static func withCompute(
        on pair: GVisorPair, _ order: String = "{}", _ body: (ServedCompute) async throws -> Void
    ) async throws {
        let place = try #require(current?.systems[pair])
        let compute = try await ServedCompute.create(place.system, try await place.url.value, order)
        do { try await body(compute) } catch {
            try? await compute.delete()
            throw error
        }
        try await compute.delete()
    }

    static var internet: StandInInternet { get throws { try #require(current?.internet) } }

    /// Starts them all; ends them all when `body` has ended, and looks at what is left.
    static func serving(_ body: @Sendable () async throws -> Void) async throws {
        let internet = try await StandInInternet.make()
        do {
            try await serving(internet, body)
        } catch {
            await internet.remove()
            throw error
        }
        await internet.remove()
    }

    private static func serving(
        _ internet: StandInInternet, _ body: @Sendable () async throws -> Void
    ) async throws {
        let (stops, stop) = AsyncStream<Void>.makeStream()
        // Nobody sends; its end is the word.
        let whenStopped = Task { for await _ in stops {} }
        try await withThrowingTaskGroup(of: Void.self) { group in
            var systems: [GVisorPair: Place] = [:]
            for pair in GVisorPair.available {
                let system = ServedSystem(.gvisor(pair), settings: limits)
                let (urls, url) = AsyncThrowingStream<String, any Error>.makeStream()
                let found = Task {
                    for try await url in urls { return url }
                    throw Running.Ended(said: system.said)
                }
                systems[pair] = Place(system: system, url: found)
                group.addTask {
                    let status = try await system.run { running in
                        defer { url.finish() }
                        url.yield(try await running.url())
                        await whenStopped.value
                        running.signal(SIGTERM)
                    }
                    let left = await Leftovers(of: system.dataDirectory)
                    #expect(status == .exited(0) && left.isEmpty, "\(pair.testDescription) left \(left)")
                }
            }
            defer { stop.finish() }
            try await $current.withValue(SharedSystems(systems: systems, internet: internet)) { try await body() }
            stop.finish()
            try await group.waitForAll()
        }
    }
}

/// Lets a suite's tests share the systems.
struct ServedTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await SharedSystems.serving(function)
    }
}

extension Trait where Self == ServedTrait {
    static var served: ServedTrait { ServedTrait() }
}
