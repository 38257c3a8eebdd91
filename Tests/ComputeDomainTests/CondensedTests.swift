import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

/// What snapshots hold leads to the state that they were made of, through the log's form.
struct CondensedTests {
    private func isExact<A: Aggregate>(_: A.Type, _ history: [A.Event]) throws -> Bool where A.State: Equatable {
        // After each event, so that every state is met on the way.
        try (0...history.count).allSatisfy { count in
            let state = A.replay(history.prefix(count))
            let condensed = try #require(A.condensed(state))
            let read = try condensed.compactMap { try A.Event(type: $0.recorded.type, data: $0.recorded.data) }
            return read.count == condensed.count && A.replay(read) == state
        }
    }

    @Test func aComputesStateSurvivesIt() throws {
        #expect(
            try isExact(
                Compute.self,
                [
                    .requested(spec, at: t0), .started(place(1), expiresAt: t0 + .seconds(60)),
                    .extended(expiresAt: t0 + .seconds(70)), .started(place(2), expiresAt: t0 + .seconds(80)),
                    .ended(.deleted),
                ]))
        #expect(try isExact(Compute.self, [.requested(spec, at: t0), .ended(.deleted)]))
        #expect(
            try isExact(
                Compute.self,
                [
                    .requested(spec, at: t0), .started(place(1), expiresAt: t0 + .seconds(60)),
                    .metadataChanged(["b": .int(1)]), .paused(Generation(1)), .metadataChanged(["c": .null]),
                    .expiryChanged(expiresAt: t0 + .seconds(5)), .networkChanged(narrow),
                    .portsChanged(PortAccess(usual: .private)), .resumed(place(1)),
                    .paused(Generation(1)),
                    .ended(.expired),
                ]))
        #expect(
            try isExact(
                Compute.self,
                ComputeTests.lived(ComputeLifecycle(onExpiry: .pause)) + [
                    .paused(Generation(1)), .paused(Generation(1), deleteAt: t0 + .seconds(9)),
                    .lifecycleChanged(ComputeLifecycle(onExpiry: .stop), deleteAt: t0 + .seconds(8)),
                    .resumed(place(1)), .stopped(Generation(1), deleteAt: t0 + .seconds(7)),
                    .lifecycleChanged(ComputeLifecycle(deleteAfterStopped: .seconds(3)), deleteAt: t0 + .seconds(6)),
                    .started(place(2), expiresAt: t0), .stopped(Generation(2), deleteAt: t0), .ended(.expired),
                ]))
    }

    @Test func aGroupsStateSurvivesItWithWhatCountsDemotions() throws {
        func member(_ id: String, _ role: Role) -> GroupMember {
            GroupMember(id: id, subject: Subject(issuer: "i", name: id), name: "n", role: role)
        }
        #expect(
            try isExact(
                Group.self,
                [
                    .created(name: "g"), .memberAdded(member("a", .owner)), .memberAdded(member("b", .admin)),
                    .memberRoleChanged(id: "b", role: .viewer, demotions: 1), .renamed(name: "h"),
                    .quotasChanged(GroupQuotas([.cpus: 1500, .computes: 0])),
                    .memberRoleChanged(id: "b", role: .owner, demotions: nil), .memberRemoved(id: "a", demotions: 0),
                    .deleted,
                ]))
    }

    @Test func aWebhooksStateSurvivesItWithTheNumberOfItsSecret() throws {
        let spec = WebhookSpec(origin: "https://a.example", types: ["ComputeEnded"], description: "d")
        #expect(
            try isExact(
                Webhook.self,
                [
                    .created(spec), .disabled(.gone), .secretRotated(version: 2, previousUntil: t0),
                    .changed(WebhookSpec(origin: "https://b.example")), .secretRotated(version: 3, previousUntil: t0),
                    .deleted,
                ]))
    }
}
