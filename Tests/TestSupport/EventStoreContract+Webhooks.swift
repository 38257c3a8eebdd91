import ComputeCore
import ComputeDomain
import EventSourcing

extension Commit {
    static func webhook(
        _ id: WebhookID, _ event: WebhookEvent, from version: Int = 0, in group: GroupID = .default,
        at time: WallTime = start
    ) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: .webhook(id), group: group, expectedVersion: version, events: [event.recorded])
            ], metadata: .system, occurredAt: time)
    }
}

extension EventStoreContract {
    private static func failed(
        _ id: WebhookID, _ event: String, _ state: WebhookDelivery.State = .retrying, seconds: Int64 = 0
    ) -> WebhookDelivery {
        WebhookDelivery(
            webhook: id, group: .default, eventID: event, type: "Noted", state: state, attempts: 2,
            nextAt: WallTime(milliseconds: start.milliseconds + seconds * 1000), lastStatus: state == .dead ? 500 : nil,
            lastError: "no answer", firstFailedAt: start, lastFailedAt: start)
    }

    static let webhooks = [
        EventStoreContract(description: "webhooks follow their events") { store in
            let (one, two) = (WebhookID.random(), WebhookID.random())
            let spec = WebhookSpec(origin: "https://a.example", types: ["Noted"], description: "d\0d")
            _ = try await store.commit(.webhook(one, .created(spec)))
            _ = try await store.commit(.webhook(two, .created(WebhookSpec(origin: "https://b.example")), in: other))
            var row = try require(try await store.webhook(one, in: .default), "the row")
            try require(row.spec == spec && row.secretVersion == 1 && row.version == 1, "as created")
            try require(try await store.webhook(one, in: other) == nil, "another group's")
            try require(try await store.webhooks(in: .default, limit: 9).map(\.id) == [one], "the group's")
            try require(Set(try await store.activeWebhooks(after: nil, limit: 9).map(\.id)) == [one, two], "active")
            _ = try await store.commit(.webhook(one, .secretRotated(version: 2, previousUntil: start), from: 1))
            _ = try await store.commit(.webhook(one, .disabled(.gone), from: 2))
            row = try require(try await store.webhook(one, in: nil), "the row")
            try require(row.secretVersion == 2 && row.previousSecretUntil == start, "rotated")
            try require(!row.spec.isActive && row.disabled == .gone, "disabled")
            try require(try await store.activeWebhooks(after: nil, limit: 9).map(\.id) == [two], "one is left")
            _ = try await store.commit(.webhook(one, .changed(spec), from: 3))
            row = try require(try await store.webhook(one, in: nil), "the row")
            try require(row.spec == spec && row.disabled == nil && row.secretVersion == 2, "changed")
            try await store.save(Cursor(rawValue: "x"), of: WebhookSummary.consumer(one), at: start)
            var progress = WebhookProgress(webhook: one)
            progress.failed = [failed(one, "e.1")]
            try await store.note(progress, at: start)
            _ = try await store.commit(.webhook(one, .deleted, from: 4))
            try require(try await store.webhook(one, in: nil) == nil, "deleted")
            try require(try await store.checkpoint(of: WebhookSummary.consumer(one)) == nil, "its place is forgotten")
            try await store.note(progress, at: start)
            try require(try await store.deliveryCount(of: one, in: .retrying) == 0, "nothing is kept for nobody")
        },
        EventStoreContract(description: "deliveries are retried when due, and dead ones come back when asked") {
            store in
            let id = WebhookID.random()
            _ = try await store.commit(.webhook(id, .created(WebhookSpec(origin: "https://a.example"))))
            var progress = WebhookProgress(webhook: id)
            progress.checkpoint = "place"
            progress.failed = [
                failed(id, "c.1", seconds: 5), failed(id, "a.1", seconds: 10), failed(id, "b.1", .dead),
                failed(id, "d.1", .dead), failed(id, "later.1", seconds: 11),
            ]
            try await store.note(progress, at: start)
            try require(try await store.checkpoint(of: WebhookSummary.consumer(id))?.rawValue == "place", "the place")
            let now = WallTime(milliseconds: start.milliseconds + 10_000)
            try require(
                try await store.dueDeliveries(of: id, at: now, limit: 9) == [progress.failed[0], progress.failed[1]],
                "due")
            try require(try await store.dueDeliveries(of: id, at: now, limit: 1).map(\.eventID) == ["c.1"], "limit")
            let dead = try await store.deliveries(of: id, in: .dead, after: nil, limit: 1)
            try require(dead == [progress.failed[2]], "dead, first page")
            try require(
                try await store.deliveries(of: id, in: .dead, after: "b.1", limit: 9).map(\.eventID) == ["d.1"], "next")
            var next = WebhookProgress(webhook: id)
            next.arrived = ["c.1", "unknown.1"]
            next.failed = [progress.failed[1].failedAgain(WebhookFailure(status: 503, "busy"), at: now)]
            try await store.note(next, at: now)
            try require(try await store.dueDeliveries(of: id, at: now, limit: 9).isEmpty, "none is due")
            let kept = try await store.deliveries(of: id, in: .retrying, after: nil, limit: 9)
            try require(kept.first == next.failed[0] && kept.count == 2, "changed")
            try require(try await store.revive(id, eventID: "a.1", at: now) == 0, "it is not dead")
            try require(try await store.revive(id, eventID: "b.1", at: now) == 1, "one")
            try require(
                try await store.dueDeliveries(of: id, at: now, limit: 9).map(\.attempts) == [0], "from the start")
            try require(try await store.revive(id, eventID: nil, at: now) == 1, "the rest")
            try require(try await store.deliveryCount(of: id, in: .dead) == 0, "no dead")
            try require(try await store.deliveryCount(of: id, in: .retrying) == 4, "all retrying")
            next = WebhookProgress(webhook: id)
            next.failed = [failed(id, "x.1", .dead), failed(id, "y.1", .dead), failed(id, "z.1", .dead)]
            try await store.note(next, at: now)
            try require(try await store.drop(id, eventID: "a.1") == 0, "what is retrying is not dropped")
            try require(try await store.drop(.random(), eventID: nil) == 0, "nor another one's")
            try require(try await store.drop(id, eventID: "y.1") == 1, "one is dropped")
            try require(
                try await store.deliveries(of: id, in: .dead, after: nil, limit: 9).map(\.eventID) == ["x.1", "z.1"],
                "the others stay")
            try require(try await store.drop(id, eventID: nil) == 2, "all are dropped")
            try require(try await store.deliveryCount(of: id, in: .retrying) == 4, "and none of those that wait")
            // Who has lost the lease knows of nothing that came after.
            let (first, second) = (start + .seconds(100), start + .seconds(200))
            try require(
                try await store.lease(WebhookSummary.dispatcher, for: "first", at: start, until: first), "leased")
            var held = WebhookProgress(webhook: id, owner: "first")
            held.checkpoint = "further"
            try await store.note(held, at: start)
            try require(
                try await store.checkpoint(of: WebhookSummary.consumer(id))?.rawValue == "further", "who holds it")
            try require(
                try await store.lease(WebhookSummary.dispatcher, for: "second", at: first, until: second), "taken over")
            held.checkpoint = "back"
            held.failed = [failed(id, "e.1")]
            try await store.note(held, at: second)
            try require(
                try await store.checkpoint(of: WebhookSummary.consumer(id))?.rawValue == "further", "not back")
            try require(try await store.deliveryCount(of: id, in: .retrying) == 4, "nor anything else")
        },
    ]
}
