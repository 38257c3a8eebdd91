import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

private let first = TemplateSpec(
    name: "python", description: "for notebooks", defaults: ["image": .string("python:3.12"), "timeout": .int(60_000)])
private let second = TemplateSpec(name: "python", defaults: ["envs": .object(["A": .string("1")])])
private let renamed = TemplateSpec(name: "snake", defaults: second.defaults)
private let id = TemplateID("aaaaaaaaaaaaaaaaaaaa")!
private let moment = WallTime(milliseconds: 5)

struct TemplateTests {
    typealias Outcome = Result<[TemplateEvent], Template.Rejection>
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var given: [TemplateEvent]
        var when: Template.Command
        var then: Outcome
        var testDescription: String { name }
    }

    static let made = [TemplateEvent.created(first)]
    static let revised = made + [.revised(second, revision: 2)]
    static let gone = revised + [.deleted]
    static let table: [Row] = [
        Row(name: "create", given: [], when: .create(first), then: .success(made)),
        Row(name: "create twice", given: made, when: .create(first), then: .failure(.alreadyThere)),
        Row(name: "create what is gone", given: gone, when: .create(first), then: .failure(.alreadyThere)),
        Row(
            name: "revise", given: made, when: .revise(second, after: nil),
            then: .success([.revised(second, revision: 2)])),
        Row(
            name: "revise back is a new revision", given: revised, when: .revise(first, after: nil),
            then: .success([.revised(first, revision: 3)])),
        Row(
            name: "revise what one has seen", given: revised, when: .revise(renamed, after: 2),
            then: .success([.revised(renamed, revision: 3)])),
        Row(
            name: "revise what others revised", given: revised, when: .revise(renamed, after: 1),
            then: .failure(.isAt(revision: 2))),
        Row(
            name: "revise what is to come", given: revised, when: .revise(renamed, after: 3),
            then: .failure(.isAt(revision: 2))),
        Row(name: "nothing new", given: revised, when: .revise(second, after: nil), then: .success([])),
        Row(name: "the same again, repeated", given: revised, when: .revise(second, after: 1), then: .success([])),
        Row(name: "revise nothing", given: [], when: .revise(first, after: nil), then: .failure(.absent)),
        Row(name: "revise what is gone", given: gone, when: .revise(first, after: nil), then: .failure(.absent)),
        Row(name: "delete", given: revised, when: .delete, then: .success([.deleted])),
        Row(name: "delete nothing", given: [], when: .delete, then: .failure(.absent)),
        Row(name: "delete twice", given: gone, when: .delete, then: .failure(.absent)),
    ]

    @Test(arguments: table) func givenEventsACommandLeadsTo(row: Row) {
        let decided = Result { () throws(Template.Rejection) in
            try Template.decide(row.when, Template.replay(row.given))
        }
        #expect(decided == row.then)
    }

    @Test(arguments: [[], made, revised, revised + [.revised(first, revision: 3)], gone])
    func theShortestHistoryLeadsToTheSameState(events: [TemplateEvent]) throws {
        let state = Template.replay(events)
        #expect(Template.replay(try #require(Template.condensed(state))) == state)
    }

    @Test func eventsComeBackAsTheyWereRecorded() throws {
        for event in Self.gone {
            let recorded = event.recorded
            #expect(try TemplateEvent(type: recorded.type, data: recorded.data) == event)
        }
        #expect(try TemplateEvent(type: "TemplatePainted", data: .object([:])) == nil)
        for data in [JSONValue.null, .object([:]), .object(["name": .string("a"), "revision": .int(1)])] {
            let error = #expect(throws: EventStoreError.self) {
                try TemplateEvent(type: "TemplateRevised", data: data)
            }
            #expect(error?.code == .corrupt)
        }
    }

    @Test func aComputesRequestTellsWhatItWasMadeFrom() throws {
        var spec = ComputeSpec(timeout: .seconds(60))
        spec.template = UsedTemplate(id: id, revision: 7)
        let event = ComputeEvent.requested(spec, at: moment)
        #expect(try ComputeEvent(type: event.recorded.type, data: event.recorded.data) == event)
        guard case .object(var fields) = event.recorded.data else {
            Issue.record("no object")
            return
        }
        #expect(fields["templateId"] == .string(id.rawValue) && fields["templateRevision"] == .int(7))
        fields["templateRevision"] = nil
        #expect(throws: EventStoreError.self) {
            try ComputeEvent(type: event.recorded.type, data: .object(fields))
        }
        spec.template = nil
        guard case .object(let without) = ComputeEvent.requested(spec, at: moment).recorded.data else { return }
        #expect(!without.keys.contains { $0.hasPrefix("template") }, "as it was recorded before there were any")
    }

    private func commit(_ events: [TemplateEvent], after before: [TemplateEvent]) -> Commit {
        .template(
            id, in: .default, expectedVersion: before.count, before: Template.replay(before), events: events, limit: 7,
            metadata: .system, at: moment)
    }

    @Test func theNameIsTakenKeptMovedAndGivenBack() {
        let (old, new) = (UniqueKey.template("python", in: .default), UniqueKey.template("snake", in: .default))
        let created = commit(Self.made, after: [])
        #expect(created.takes == [UniqueHold(key: old, owner: id.rawValue)] && created.releases.isEmpty)
        #expect(created.counterMoves == [CounterMove(counter: .templates(in: .default), delta: 1, limit: 7)])
        let revised = commit([.revised(second, revision: 2)], after: Self.made)
        #expect(revised.takes.isEmpty && revised.releases.isEmpty && revised.counterMoves.isEmpty)
        let moved = commit([.revised(renamed, revision: 2)], after: Self.made)
        #expect(moved.takes == [UniqueHold(key: new, owner: id.rawValue)])
        #expect(moved.releases == [UniqueRelease(key: old, owner: id.rawValue)] && moved.counterMoves.isEmpty)
        let deleted = commit([.deleted], after: Self.made + [.revised(renamed, revision: 2)])
        #expect(deleted.releases == [UniqueRelease(key: new, owner: id.rawValue)] && deleted.takes.isEmpty)
        #expect(deleted.counterMoves == [CounterMove(counter: .templates(in: .default), delta: -1)])
    }

    // MARK: - The read model

    private func recorded(_ event: TemplateEvent, _ version: Int, in group: GroupID = .default) -> RecordedEvent {
        RecordedEvent(
            position: Int64(version), stream: .template(id), version: version, group: group,
            type: event.recorded.type, data: event.recorded.data, metadata: .system,
            occurredAt: moment + .seconds(version))
    }

    @Test func aRowFollowsTheEvents() throws {
        var row: TemplateSummary?
        for (index, event) in Self.revised.enumerated() {
            row = try TemplateSummary.applying(recorded(event, index + 1), to: row)
        }
        #expect(row?.newest == TemplateRevision(revision: 2, spec: second, createdAt: moment + .seconds(2)))
        #expect(row?.createdAt == moment + .seconds(1) && row?.version == 2)
        #expect(try TemplateSummary.applying(recorded(.deleted, 3), to: row) == nil)
    }

    @Test func whatDoesNotFollowIsCorrupt() throws {
        let row = try TemplateSummary.applying(recorded(.created(first), 1), to: nil)
        for event in [
            recorded(.created(first), 2), recorded(.revised(second, revision: 2), 3),
            recorded(.revised(second, revision: 3), 2), recorded(.deleted, 2, in: GroupID("other")),
        ] {
            let error = #expect(throws: EventStoreError.self) { try TemplateSummary.applying(event, to: row) }
            #expect(error?.code == .corrupt)
        }
        #expect(throws: EventStoreError.self) { try TemplateSummary.applying(recorded(.deleted, 1), to: nil) }
    }

    @Test func placesInListsComeBackAndOthersAreRefused() throws {
        let name = NameCursor(.templates, after: "python")
        let revision = TemplateRevisionCursor(before: 12)
        #expect(try NameCursor(.templates, name.cursor) == name)
        #expect(try TemplateRevisionCursor(revision.cursor) == revision)
        #expect(throws: EventStoreError.self) { try NameCursor(.templates, revision.cursor) }
        #expect(throws: EventStoreError.self) { try TemplateRevisionCursor(name.cursor) }
        #expect(throws: EventStoreError.self) {
            try NameCursor(.templates, NameCursor(.templates, after: "a\0").cursor)
        }
        #expect(throws: EventStoreError.self) {
            try TemplateRevisionCursor(Cursor(kind: .templateRevisions, version: 1, payload: [1, 2]))
        }
    }
}
