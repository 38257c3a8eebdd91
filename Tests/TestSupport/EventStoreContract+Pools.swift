import ComputeCore
import ComputeDomain
import EventSourcing

extension EventStoreContract {
    static let pools = [
        EventStoreContract(description: "a pool is found by id and name in its own group and listed by name") { store in
            var ids: [String: PoolID] = [:]
            for (name, group) in [("b", GroupID.default), ("a", .default), ("B", .default), ("a", other)] {
                let id = PoolID.random()
                if group == .default { ids[name] = id }
                try require(try await store.commit(.make(id, spec(name, 1, 3), in: group)).isCommitted, "created")
            }
            let id = try require(ids["a"], "made")
            let row = try require(try await store.pool(id, in: .default), "by id")
            try require(row.spec == spec("a", 1, 3) && row.revision == 1 && row.version == 1, "fields")
            try require(row.createdAt == start && row.updatedAt == start && row.group == .default, "beside them")
            try require(try await store.pool(id, in: other) == nil, "not another group's")
            try require(try await store.pool(named: "a", in: .default) == row, "by name")
            try require(try await store.pool(named: "a", in: other)?.id != id, "the other one of that name")
            try require(try await store.pool(named: "b", in: other) == nil, "not of this group")
            var (names, cursor) = ([String](), Cursor?.none)
            repeat {
                let page = try await store.pools(in: .default, after: cursor, limit: 2)
                try require(page.pools.count <= 2, "limit")
                names += page.pools.map(\.spec.name)
                cursor = page.next
            } while cursor != nil
            try require(names == ["B", "a", "b"], "by the bytes of the name, once each: \(names)")
            do {
                _ = try await store.pools(in: .default, after: Cursor(rawValue: "e30"), limit: 2)
                throw ContractViolation(description: "a bad cursor was taken")
            } catch let error as EventStoreError {
                try require(error.code == .badCursor, "bad cursor")
            }
        },
        EventStoreContract(description: "a pool comes with the revision of its template, as long as there is one") {
            store in
            let template = TemplateID.random()
            func said(_ n: Int) -> TemplateSpec { TemplateSpec(name: "t", defaults: ["image": .string("i:\(n)")]) }
            _ = try await store.commit(
                .template(
                    template, in: .default, expectedVersion: 0, before: Template.initial,
                    events: [.created(said(1)), .revised(said(2), revision: 2)], metadata: .system, at: start))
            let (newest, fixed, early) = (PoolID.random(), PoolID.random(), PoolID.random())
            for (id, name, revision) in [(newest, "n", nil), (fixed, "f", 1), (early, "e", 3)]
                as [(PoolID, String, Int64?)]
            {
                let spec = PoolSpec(
                    name: name, template: template, templateRevision: revision, minimum: 0, maximum: 1)
                _ = try await store.commit(.make(id, spec))
            }
            let stranger = PoolID.random()
            _ = try await store.commit(
                .make(stranger, PoolSpec(name: "s", template: template, minimum: 0, maximum: 1), in: other))
            func supplied() async throws -> [PoolID: [String: JSONValue]] {
                var (found, last) = ([PoolSupply](), PoolID?.none)
                repeat {
                    let page = try await store.supplies(after: last, limit: 3)
                    try require(page.count <= 3, "limit")
                    found += page
                    last = page.last?.pool.id
                } while last != nil
                try require(found.map(\.pool.id) == [newest, fixed, early, stranger].sorted(), "all, by id, once")
                try require(found.first { $0.pool.id == newest }?.pool.spec.name == "n", "with what it says")
                return Dictionary(
                    uniqueKeysWithValues: found.compactMap { one in one.defaults.map { (one.pool.id, $0) } })
            }
            func made(_ n: Int) -> [String: JSONValue] { said(n).defaults }
            try require(try await supplied() == [newest: made(2), fixed: made(1)], "another group's has none")
            let third = RecordedTemplate(id: template, version: 3, event: .revised(said(3), revision: 3))
            _ = try await store.commit(third.commit)
            try require(try await supplied() == [newest: made(3), fixed: made(1), early: made(3)], "the newest")
            _ = try await store.commit(RecordedTemplate(id: template, version: 4, event: .deleted).commit)
            try require(try await supplied().isEmpty, "none when it is gone")
        },
        EventStoreContract(description: "name, number and members of pools are counted with them") { store in
            let (first, second) = (PoolID.random(), PoolID.random())
            let quotas = GroupQuotas([.poolMembers: 10])
            let members = Quota.poolMembers.counter(in: .default)
            func create(_ id: PoolID, _ name: String, _ maximum: Int64) async throws -> CommitOutcome {
                try await store.commit(.make(id, spec(name, 0, maximum), limit: 2, quotas: quotas))
            }
            try require(try await create(first, "a", 4).isCommitted, "the first")
            let same = try await create(second, "a", 1)
            guard case .taken = same else { throw ContractViolation(description: "a name twice: \(same)") }
            let large = try await create(second, "b", 7)
            try require(large == .overLimit(members, limit: 10), "too many members: \(large)")
            try require(try await store.counter(.pools(in: .default)) == 1, "nothing of what failed")
            try require(try await store.counter(members) == 4, "nor of its members")
            try require(try await create(second, "b", 6).isCommitted, "as many as fit")
            let third = try await create(.random(), "c", 0)
            try require(third == .overLimit(.pools(in: .default), limit: 2), "too many: \(third)")
            func change(_ from: PoolSpec, _ to: PoolSpec, _ version: Int) async throws -> CommitOutcome {
                try await store.commit(
                    .pool(
                        first, in: .default, expectedVersion: version,
                        before: .present(from, revision: Int64(version)),
                        events: [.changed(to, revision: Int64(version) + 1)], quotas: quotas, metadata: .system,
                        at: start + .seconds(1)))
            }
            let more = try await change(spec("a", 0, 4), spec("a", 0, 5), 1)
            try require(more == .overLimit(members, limit: 10), "one more: \(more)")
            try require(try await change(spec("a", 0, 4), spec("z", 2, 2), 1).isCommitted, "smaller, and renamed")
            try require(try await store.counter(members) == 8, "counted off")
            try require(try await store.pool(named: "a", in: .default) == nil, "not by the old name")
            let row = try require(try await store.pool(named: "z", in: .default), "but by the new one")
            try require(row.id == first && row.revision == 2 && row.spec == spec("z", 2, 2), "as it was said")
            try require(row.createdAt == start && row.updatedAt == start + .seconds(1), "and when")
            let late = try await change(spec("a", 0, 4), spec("y", 0, 1), 1)
            try require(!late.isCommitted, "conflict")
            let deleted = Commit.pool(
                first, in: .default, expectedVersion: 2, before: .present(spec("z", 2, 2), revision: 2),
                events: [.deleted], metadata: .system, at: start)
            try require(try await store.commit(deleted).isCommitted, "deleted")
            try require(try await store.pool(first, in: .default) == nil, "gone")
            try require(try await store.counter(members) == 6, "with its members")
            try require(try await create(.random(), "z", 4).isCommitted, "room, and its name")
        },
    ]
}

private let template = TemplateID("aaaaaaaaaaaaaaaaaaaa")!

private func spec(_ name: String, _ minimum: Int64, _ maximum: Int64) -> PoolSpec {
    PoolSpec(name: name, template: template, minimum: minimum, maximum: maximum)
}

private struct RecordedTemplate {
    var id: TemplateID
    /// The event's own.
    var version: Int
    var event: TemplateEvent

    var commit: Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: .template(id), group: .default, expectedVersion: version - 1, events: [event.recorded])
            ], metadata: .system, occurredAt: start)
    }
}

extension Commit {
    fileprivate static func make(
        _ id: PoolID, _ spec: PoolSpec, in group: GroupID = .default, limit: Int64? = nil,
        quotas: GroupQuotas = GroupQuotas()
    ) -> Commit {
        .pool(
            id, in: group, expectedVersion: 0, before: Pool.initial, events: [.created(spec)], limit: limit,
            quotas: quotas, metadata: .system, at: start)
    }
}
