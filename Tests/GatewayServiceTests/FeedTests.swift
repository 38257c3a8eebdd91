import APIContract
import ComputeCore
import GatewayService
import NIOHTTP1
import Testing

@Suite(.timeLimit(.minutes(1))) struct FeedTests {
    @Test func feedThatBreaksIsAskedAgainWithGrowingPauses() async throws {
        try await GatewayWorld.run { world async throws in
            let host = world.host("\(world.id)-\(world.appPort)")
            #expect(try await world.send(host: host).status == 200)
            #expect(try await eventually { world.internalAPI.feedRequests >= 2 })
            world.internalAPI.breakFeed(.broken)
            let before = world.internalAPI.feedRequests
            let start = ContinuousClock.now
            world.internalAPI.tell(world.record(world.id, .ended))
            #expect(try await eventually { world.internalAPI.feedRequests >= before + 4 })
            // Pauses of at least 25, 50 and 100 ms lie between the first four.
            #expect(ContinuousClock.now - start >= .milliseconds(175))
            // What is known stays in use as long as nobody says otherwise.
            #expect(try await world.send(host: host).status == 200)
            world.internalAPI.breakFeed(nil)
            #expect(try await eventually(within: .seconds(40)) { await isGone(host, world) })
        }
    }

    @Test func lostCursorStartsTheFeedAgain() async throws {
        try await GatewayWorld.run { world async throws in
            let host = world.host("\(world.id)-\(world.appPort)")
            #expect(try await world.send(host: host).status == 200)
            #expect(try await eventually { world.internalAPI.feedRequests >= 2 })
            world.internalAPI.breakFeed(.forgetsCursors)
            let asked = world.internalAPI.feedRequests
            #expect(try await eventually { world.internalAPI.feedRequests > asked + 1 })
            world.internalAPI.breakFeed(nil)
            #expect(try await world.send(host: host).status == 200)
            world.internalAPI.tell(world.record(world.id, .ended))
            #expect(try await eventually(within: .seconds(40)) { await isGone(host, world) })
        }
    }

    /// What was on its way as the compute ended may be cut off, which is no answer yet.
    private func isGone(_ host: String, _ world: GatewayWorld) async -> Bool {
        (try? await world.send(host: host).status) == 404
    }
}
