import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

struct WebhookAggregateTests {
    private static let spec = WebhookSpec(origin: "https://a.example")
    private static let off = WebhookSpec(origin: "https://a.example", isActive: false)
    private static let time = WallTime(milliseconds: 1_800_000_000_000)

    @Test func decisionsFollowTheTable() throws {
        typealias Row = (given: [WebhookEvent], when: Webhook.Command, then: [WebhookEvent]?)
        let (spec, off, time) = (Self.spec, Self.off, Self.time)
        let rows: [Row] = [
            ([], .create(spec), [.created(spec)]), ([], .delete, nil), ([], .rotate(previousUntil: time), nil),
            ([], .change(spec, isMoved: true), nil), ([], .disable(.gone), nil),
            ([.created(spec)], .create(spec), nil), ([.created(spec)], .change(spec, isMoved: false), []),
            ([.created(spec)], .change(spec, isMoved: true), [.changed(spec)]),
            ([.created(spec)], .change(off, isMoved: false), [.changed(off)]),
            ([.created(spec)], .rotate(previousUntil: time), [.secretRotated(version: 2, previousUntil: time)]),
            ([.created(spec)], .disable(.gone), [.disabled(.gone)]), ([.created(off)], .disable(.gone), []),
            ([.created(spec), .disabled(.gone)], .disable(.tooManyFailures), []),
            ([.created(spec), .disabled(.gone)], .change(spec, isMoved: false), [.changed(spec)]),
            ([.created(spec)], .delete, [.deleted]), ([.created(spec), .deleted], .delete, nil),
            ([.created(spec), .deleted], .create(spec), nil),
        ]
        for row in rows {
            #expect((try? Webhook.decide(row.when, Webhook.replay(row.given))) == row.then, "\(row)")
        }
    }

    @Test(arguments: [
        WebhookEvent.created(spec), .changed(off), .secretRotated(version: 3, previousUntil: time), .disabled(.gone),
        .deleted,
    ])
    func eventsComeBackFromTheLog(_ event: WebhookEvent) throws {
        #expect(try WebhookEvent(type: event.recorded.type, data: event.recorded.data) == event)
    }

    @Test func aDeliveryWaitsLongerEachTimeAndDiesInTheEnd() {
        var delivery = WebhookDelivery(
            webhook: .random(), group: .default, eventID: "e.1", type: "T", state: .retrying, attempts: 0,
            nextAt: Self.time, lastStatus: nil, lastError: nil, firstFailedAt: Self.time, lastFailedAt: Self.time)
        var waits: [Duration] = []
        while delivery.state == .retrying {
            let now = delivery.nextAt
            delivery = delivery.failedAgain(WebhookFailure(status: 500, "no"), at: now)
            if delivery.state == .retrying { waits.append(delivery.nextAt - now) }
        }
        #expect(waits == WebhookDelivery.waits && delivery.attempts == waits.count + 1)
        #expect(delivery.lastStatus == 500 && delivery.lastError == "no")
    }
}
