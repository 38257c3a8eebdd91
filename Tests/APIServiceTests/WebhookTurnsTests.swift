import APIService
import ComputeCore
import Testing

struct WebhookTurnsTests {
    private let one = GroupID("one")
    private let two = GroupID("two")
    private let now = ContinuousClock.now

    @Test func aGroupWhoseReceiversTakeLongLeavesPlacesToOthers() {
        var turns = WebhookTurns()
        func start(_ id: WebhookID, _ group: GroupID, _ at: ContinuousClock.Instant) -> Bool {
            turns.start(id, of: group, at: at)
        }
        let ids = (0..<20).map { _ in WebhookID.random() }
        var started = 0
        for id in ids where turns.start(id, of: one, at: now) { started += 1 }
        #expect(started == WebhookTurns.perGroup)
        let other = WebhookID.random()
        #expect(start(other, two, now))
        #expect(!start(other, two, now), "one at a time")
        turns.end(ids[0], wasSilent: false, at: now)
        #expect(start(ids[19], one, now))
        #expect(!start(ids[0], one, now))
    }

    @Test func thereAreOnlySoManyAtATime() {
        var turns = WebhookTurns()
        var started = 0
        for n in 0..<100 where turns.start(.random(), of: GroupID("g\(n)"), at: now) { started += 1 }
        #expect(started == WebhookTurns.atATime)
    }

    @Test func whoDidNotAnswerIsLetBeForAMoment() {
        var turns = WebhookTurns()
        func start(_ id: WebhookID, _ group: GroupID, _ at: ContinuousClock.Instant) -> Bool {
            turns.start(id, of: group, at: at)
        }
        let id = WebhookID.random()
        #expect(start(id, one, now))
        turns.end(id, wasSilent: true, at: now)
        #expect(!start(id, one, now + .seconds(4)))
        #expect(start(id, one, now + WebhookTurns.pauseOfSilent))
        turns.end(id, wasSilent: false, at: now)
        #expect(start(id, one, now))
    }
}
