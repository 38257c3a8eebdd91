import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

private let python = TemplateID("aaaaaaaaaaaaaaaaaaaa")!
private let node = TemplateID("bbbbbbbbbbbbbbbbbbbb")!
private let first = PoolSpec(name: "warm", template: python, minimum: 1, maximum: 4)
private let pinned = PoolSpec(name: "warm", template: python, templateRevision: 3, minimum: 1, maximum: 4)
private let moved = PoolSpec(name: "hot", template: node, minimum: 2, maximum: 2)
private let id = PoolID("cccccccccccccccccccc")!
private let moment = WallTime(milliseconds: 5)

struct PoolTests {
    typealias Outcome = Result<[PoolEvent], Pool.Rejection>
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var given: [PoolEvent]
        var when: Pool.Command
        var then: Outcome
        var testDescription: String { name }
    }

    static let made = [PoolEvent.created(first)]
    static let changed = made + [.changed(pinned, revision: 2)]
    static let gone = changed + [.deleted]
    static let upsideDown = PoolSpec(name: "warm", template: python, minimum: 5, maximum: 4)
    static let table: [Row] = [
        Row(name: "create", given: [], when: .create(first), then: .success(made)),
        Row(
            name: "create upside down", given: [], when: .create(upsideDown),
            then: .failure(.minimumAboveMaximum(upsideDown))),
        Row(name: "create twice", given: made, when: .create(first), then: .failure(.alreadyThere)),
        Row(name: "create what is gone", given: gone, when: .create(first), then: .failure(.alreadyThere)),
        Row(
            name: "fix the revision", given: made, when: .change(PoolChange(templateRevision: 3), after: nil),
            then: .success([.changed(pinned, revision: 2)])),
        Row(
            name: "a template comes with its newest revision", given: changed,
            when: .change(PoolChange(template: python), after: 2), then: .success([.changed(first, revision: 3)])),
        Row(
            name: "another template", given: changed,
            when: .change(PoolChange(name: "hot", template: node, minimum: 2, maximum: 2), after: nil),
            then: .success([.changed(moved, revision: 3)])),
        Row(
            name: "a minimum above what is there", given: made, when: .change(PoolChange(minimum: 5), after: nil),
            then: .failure(.minimumAboveMaximum(upsideDown))),
        Row(
            name: "what others changed", given: changed, when: .change(PoolChange(maximum: 9), after: 1),
            then: .failure(.isAt(revision: 2))),
        Row(
            name: "the same again, repeated", given: changed,
            when: .change(PoolChange(templateRevision: 3), after: 1), then: .success([])),
        Row(name: "nothing", given: made, when: .change(PoolChange(), after: nil), then: .success([])),
        Row(
            name: "what is so already", given: made,
            when: .change(PoolChange(isScaled: true), after: nil), then: .success([])),
        Row(
            name: "what does not come of it", given: made,
            when: .change(PoolChange(isScaled: false), after: nil),
            then: .failure(.otherwiseScaled(first))),
        Row(
            name: "to scale a pool of one size", given: made,
            when: .change(PoolChange(minimum: 2, maximum: 2, isScaled: true), after: nil),
            then: .failure(
                .otherwiseScaled(
                    PoolSpec(name: first.name, template: first.template, minimum: 2, maximum: 2)))),
        Row(name: "change nothing", given: [], when: .change(PoolChange(), after: nil), then: .failure(.absent)),
        Row(name: "change what is gone", given: gone, when: .change(PoolChange(), after: nil), then: .failure(.absent)),
        Row(name: "delete", given: changed, when: .delete, then: .success([.deleted])),
        Row(name: "delete nothing", given: [], when: .delete, then: .failure(.absent)),
        Row(name: "delete twice", given: gone, when: .delete, then: .failure(.absent)),
    ]

    @Test(arguments: table) func givenEventsACommandLeadsTo(row: Row) {
        let decided = Result { () throws(Pool.Rejection) in try Pool.decide(row.when, Pool.replay(row.given)) }
        #expect(decided == row.then)
    }

    @Test(arguments: [[], made, changed, changed + [.changed(moved, revision: 3)], gone])
    func theShortestHistoryLeadsToTheSameState(events: [PoolEvent]) throws {
        let state = Pool.replay(events)
        #expect(Pool.replay(try #require(Pool.condensed(state))) == state)
    }

    @Test func eventsComeBackAsTheyWereRecorded() throws {
        for event in Self.gone {
            let recorded = event.recorded
            #expect(try PoolEvent(type: recorded.type, data: recorded.data) == event)
        }
        #expect(try PoolEvent(type: "PoolDrained", data: .object([:])) == nil)
        guard case .object(let good) = PoolEvent.changed(pinned, revision: 2).recorded.data else { return }
        for (field, value) in [
            ("templateId", JSONValue.string("x")), ("revision", .int(1)), ("min", .int(-1)), ("max", .null),
            ("templateRevision", .int(0)), ("name", .null),
        ] {
            let data = JSONValue.object(good.merging([field: value]) { $1 })
            let error = #expect(throws: EventStoreError.self) { try PoolEvent(type: "PoolChanged", data: data) }
            #expect(error?.code == .corrupt, "\(field)")
        }
    }

    // MARK: - What moves with it

    private func commit(_ events: [PoolEvent], after before: [PoolEvent]) -> Commit {
        .pool(
            id, in: .default, expectedVersion: before.count, before: Pool.replay(before), events: events, limit: 7,
            quotas: GroupQuotas([.poolMembers: 9]), metadata: .system, at: moment)
    }

    @Test func nameNumberAndMembersMoveWithIt() {
        let (old, new) = (UniqueKey.pool("warm", in: .default), UniqueKey.pool("hot", in: .default))
        let members = Quota.poolMembers.counter(in: .default)
        let created = commit(Self.made, after: [])
        #expect(created.takes == [UniqueHold(key: old, owner: id.rawValue)] && created.releases.isEmpty)
        #expect(
            created.counterMoves == [
                CounterMove(counter: .pools(in: .default), delta: 1, limit: 7),
                .quota(members, delta: 4, usual: 9),
            ])
        let fixed = commit([.changed(pinned, revision: 2)], after: Self.made)
        #expect(fixed.takes.isEmpty && fixed.releases.isEmpty && fixed.counterMoves.isEmpty)
        let smaller = commit([.changed(moved, revision: 2)], after: Self.made)
        #expect(smaller.takes == [UniqueHold(key: new, owner: id.rawValue)])
        #expect(smaller.releases == [UniqueRelease(key: old, owner: id.rawValue)])
        #expect(smaller.counterMoves == [CounterMove(counter: members, delta: -2)], "whatever the limit is by now")
        let larger = commit([.changed(first, revision: 3)], after: Self.made + [.changed(moved, revision: 2)])
        #expect(larger.counterMoves == [.quota(members, delta: 2, usual: 9)])
        let deleted = commit([.deleted], after: Self.changed)
        #expect(deleted.releases == [UniqueRelease(key: old, owner: id.rawValue)] && deleted.takes.isEmpty)
        #expect(
            deleted.counterMoves == [
                CounterMove(counter: .pools(in: .default), delta: -1), CounterMove(counter: members, delta: -4),
            ])
    }

    // MARK: - The read model

    private func recorded(_ event: PoolEvent, _ version: Int, in group: GroupID = .default) -> RecordedEvent {
        RecordedEvent(
            position: Int64(version), stream: .pool(id), version: version, group: group, type: event.recorded.type,
            data: event.recorded.data, metadata: .system, occurredAt: moment + .seconds(version))
    }

    @Test func aRowFollowsTheEvents() throws {
        var row: PoolSummary?
        for (index, event) in Self.changed.enumerated() {
            row = try PoolSummary.applying(recorded(event, index + 1), to: row)
        }
        #expect(row?.spec == pinned && row?.revision == 2 && row?.version == 2)
        #expect(row?.createdAt == moment + .seconds(1) && row?.updatedAt == moment + .seconds(2))
        #expect(try PoolSummary.applying(recorded(.deleted, 3), to: row) == nil)
    }

    @Test func whatDoesNotFollowIsCorrupt() throws {
        let row = try PoolSummary.applying(recorded(.created(first), 1), to: nil)
        for event in [
            recorded(.created(first), 2), recorded(.changed(pinned, revision: 2), 3),
            recorded(.changed(pinned, revision: 3), 2), recorded(.deleted, 2, in: GroupID("other")),
        ] {
            let error = #expect(throws: EventStoreError.self) { try PoolSummary.applying(event, to: row) }
            #expect(error?.code == .corrupt)
        }
        #expect(throws: EventStoreError.self) { try PoolSummary.applying(recorded(.deleted, 1), to: nil) }
    }

    @Test func placesInListsComeBackAndOthersAreRefused() throws {
        let place = NameCursor(.pools, after: "warm")
        #expect(try NameCursor(.pools, place.cursor) == place)
        #expect(throws: EventStoreError.self) { try NameCursor(.pools, NameCursor(.templates, after: "warm").cursor) }
        #expect(throws: EventStoreError.self) { try NameCursor(.pools, NameCursor(.pools, after: "a\0").cursor) }
    }
}
