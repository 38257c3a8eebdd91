import ComputeCore
import ComputeDomain
import EventSourcing

extension EventStoreContract {
    static let templates = [
        EventStoreContract(description: "a template is found by id and name in its own group and listed by name") {
            store in
            var ids: [String: TemplateID] = [:]
            for (name, group) in [("b", GroupID.default), ("a", .default), ("B", .default), ("a", other)] {
                let id = TemplateID.random()
                if group == .default { ids[name] = id }
                try require(try await store.commit(.create(id, name, in: group)).isCommitted, "created")
            }
            let id = try require(ids["a"], "made")
            let row = try require(try await store.template(id, in: .default), "by id")
            try require(row.newest == TemplateRevision(revision: 1, spec: spec("a", 1), createdAt: start), "fields")
            try require(row.createdAt == start && row.version == 1 && row.group == .default, "beside them")
            try require(try await store.template(id, in: other) == nil, "not another group's")
            try require(try await store.template(named: "a", in: .default) == row, "by name")
            try require(try await store.template(named: "a", in: other)?.id != id, "the other one of that name")
            try require(try await store.template(named: "b", in: other) == nil, "not of this group")
            try require(try await store.revision(1, of: id, in: other) == nil, "nor its revisions")
            try require(
                try await store.revisions(of: id, in: other, after: nil, limit: 9).revisions.isEmpty, "nor a list")
            var (names, cursor) = ([String](), Cursor?.none)
            repeat {
                let page = try await store.templates(in: .default, after: cursor, limit: 2)
                try require(page.templates.count <= 2, "limit")
                names += page.templates.map(\.newest.spec.name)
                cursor = page.next
            } while cursor != nil
            try require(names == ["B", "a", "b"], "by the bytes of the name, once each: \(names)")
            do {
                _ = try await store.templates(in: .default, after: Cursor(rawValue: "e30"), limit: 2)
                throw ContractViolation(description: "a bad cursor was taken")
            } catch let error as EventStoreError {
                try require(error.code == .badCursor, "bad cursor")
            }
        },
        EventStoreContract(description: "revisions stay as they were, the newest of them, until the template is gone") {
            store in
            let id = TemplateID.random()
            let last = Int(TemplateRevision.kept) + 3
            try require(try await store.commit(.create(id, "a")).isCommitted, "created")
            for n in 2...last {
                let outcome = try await store.commit(.change(id, n, .revised(spec("a", n), revision: Int64(n))))
                try require(outcome.isCommitted, "revision \(n)")
            }
            let late = try await store.commit(.change(id, last, .revised(spec("a", 0), revision: Int64(last))))
            try require(!late.isCommitted, "conflict")
            let row = try require(try await store.template(id, in: .default), "there")
            let newest = TemplateRevision(
                revision: Int64(last), spec: spec("a", last), createdAt: start + .seconds(last))
            try require(row.newest == newest && row.createdAt == start && row.version == last, "the newest")
            try require(try await store.revision(3, of: id, in: .default) == nil, "the oldest are gone")
            let oldest = try require(try await store.revision(4, of: id, in: .default), "the oldest that is kept")
            try require(oldest.spec == spec("a", 4) && oldest.createdAt == start + .seconds(4), "as it was")
            var (numbers, cursor) = ([Int64](), Cursor?.none)
            repeat {
                let page = try await store.revisions(of: id, in: .default, after: cursor, limit: 40)
                try require(page.revisions.count <= 40, "limit")
                numbers += page.revisions.map(\.revision)
                cursor = page.next
            } while cursor != nil
            try require(numbers == Array(stride(from: Int64(last), through: 4, by: -1)), "newest first: \(numbers)")
            _ = try await store.commit(.change(id, last + 1, .deleted))
            try require(try await store.template(id, in: .default) == nil, "deleted")
            try require(try await store.revision(Int64(last), of: id, in: .default) == nil, "with its revisions")
        },
        EventStoreContract(description: "the name of a template moves with it, and their number is counted") { store in
            let (first, second) = (TemplateID.random(), TemplateID.random())
            try require(try await store.commit(.create(first, "a", limit: 2)).isCommitted, "the first")
            let same = try await store.commit(.create(second, "a", limit: 2))
            guard case .taken = same else { throw ContractViolation(description: "a name twice: \(same)") }
            try require(try await store.counter(.templates(in: .default)) == 1, "nothing of what failed")
            let before = Template.replay([.created(spec("a", 1))])
            let moved = Commit.template(
                first, in: .default, expectedVersion: 1, before: before,
                events: [.revised(spec("z", 2), revision: 2)], metadata: .system, at: start)
            try require(try await store.commit(moved).isCommitted, "renamed")
            try require(try await store.template(named: "a", in: .default) == nil, "not by the old name")
            try require(try await store.template(named: "z", in: .default)?.id == first, "but by the new one")
            try require(try await store.commit(.create(second, "a", limit: 2)).isCommitted, "which is free")
            let many = try await store.commit(.create(.random(), "c", limit: 2))
            try require(many == .overLimit(.templates(in: .default), limit: 2), "too many: \(many)")
            let deleted = Commit.template(
                first, in: .default, expectedVersion: 2, before: .present(spec("z", 2), revision: 2),
                events: [.deleted], metadata: .system, at: start)
            try require(try await store.commit(deleted).isCommitted, "deleted")
            try require(try await store.commit(.create(.random(), "z", limit: 2)).isCommitted, "room, and its name")
        },
    ]
}

/// With what a database could lose: quotes, NUL, letters of more than a byte, numbers of both kinds.
private func spec(_ name: String, _ n: Int) -> TemplateSpec {
    TemplateSpec(
        name: name, description: "\(n) \"é\\\0'",
        defaults: [
            "image": .string("i:\(n)"), "resources": .object(["cpus": .double(0.5), "memoryMiB": .int(512)]),
            "metadata": .object(["deep": .array([.null, .bool(true), .string("\0")])]),
        ])
}

extension Commit {
    fileprivate static func create(
        _ id: TemplateID, _ name: String, in group: GroupID = .default, limit: Int64? = nil
    ) -> Commit {
        .template(
            id, in: group, expectedVersion: 0, before: Template.initial, events: [.created(spec(name, 1))],
            limit: limit, metadata: .system, at: start)
    }

    /// - Parameter version: the event's own.
    fileprivate static func change(_ id: TemplateID, _ version: Int, _ event: TemplateEvent) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: .template(id), group: .default, expectedVersion: version - 1, events: [event.recorded])
            ], metadata: .system, occurredAt: start + .seconds(version))
    }
}
