import ComputeCore
import ComputeDomain
import EventSourcing

extension EventStoreContract {
    static let secrets = [
        EventStoreContract(description: "a secret is listed by name in its own group, with its newest version") {
            store in
            for (text, group) in [("b", GroupID.default), ("a", .default), ("B", .default), ("a", other)] {
                _ = try await store.commit(.secret(text, 1, in: group))
            }
            _ = try await store.commit(.secret("a", 2, at: start + .seconds(5)))
            let row = try require(try await store.secret(named("a"), in: .default), "by name")
            try require(row.version == 2 && row.createdAt == start && row.updatedAt == start + .seconds(5), "fields")
            try require(try await store.secret(named("a"), in: other)?.version == 1, "another group's")
            try require(try await store.secret(named("b"), in: other) == nil, "not of this group")
            var (names, cursor) = ([String](), Cursor?.none)
            repeat {
                let page = try await store.secrets(in: .default, after: cursor, limit: 2)
                try require(page.secrets.count <= 2, "limit")
                names += page.secrets.map(\.name.rawValue)
                cursor = page.next
            } while cursor != nil
            try require(names == ["B", "a", "b"], "by the bytes of the name, once each: \(names)")
            let bad = Cursor(rawValue: "e30")
            do {
                _ = try await store.secrets(in: .default, after: bad, limit: 2)
                throw ContractViolation(description: "a bad cursor was taken")
            } catch let error as EventStoreError {
                try require(error.code == .badCursor, "bad cursor")
            }
        },
        EventStoreContract(description: "sealed values come with their commit and are forgotten when told") { store in
            for version in 1...3 as ClosedRange<Int64> {
                _ = try await store.commit(.secret("a", version, values: [.put(value("a", version))]))
            }
            _ = try await store.commit(.secret("ab", 1, values: [.put(value("ab", 1))]))
            try require(try await store.secretValue(key("a", 2)) == value("a", 2), "as it was put")
            try require(try await store.secretValue(key("a", 4)) == nil, "unknown")
            try require(try await store.secretValue(key("a", 2, other)) == nil, "another group's")
            let lost = try await store.commit(.secret("a", 3, values: [.put(value("a", 9))]))
            try require(!lost.isCommitted, "conflict")
            try require(try await store.secretValue(key("a", 9)) == nil, "nothing of a commit that failed")
            _ = try await store.commit(.values([.forget(.default, named("a"), through: 2)]))
            try require(try await store.secretValue(key("a", 2)) == nil, "forgotten")
            try require(try await store.secretValue(key("a", 3)) != nil, "kept")
            _ = try await store.commit(
                .secret(
                    "a", 4, event: .deleted(named("a"), version: 3),
                    values: [.forget(.default, named("a"), through: .max)]))
            try require(try await store.secret(named("a"), in: .default) == nil, "deleted")
            try require(try await store.secretValue(key("a", 3)) == nil, "with its values")
            try require(try await store.secretValue(key("ab", 1)) != nil, "and nobody else's")
            _ = try await store.commit(
                .secret("a", 5, event: .written(named("a"), version: 4), at: start + .seconds(9)))
            let again = try require(try await store.secret(named("a"), in: .default), "again")
            try require(again.version == 4 && again.createdAt == start + .seconds(9), "counts on")
        },
        EventStoreContract(description: "values under another master key are found in order and rewrapped once") {
            store in
            for (text, group) in [("b", GroupID.default), ("a", .default), ("c", other)] {
                _ = try await store.commit(.values([.put(value(text, 1, group)), .put(value(text, 2, group))]))
            }
            _ = try await store.commit(.values([.put(value("d", 1, under: "new"))]))
            var (keys, last) = ([SecretValueRow.Key](), SecretValueRow.Key?.none)
            repeat {
                let rows = try await store.secretValues(notUnder: "new", after: last, limit: 4)
                keys += rows.map(\.key)
                last = rows.last?.key
            } while last != nil
            let expected = [("a", GroupID.default), ("b", .default), ("c", other)].flatMap { text, group in
                [key(text, 1, group), key(text, 2, group)]
            }
            try require(keys == expected, "in order: \(keys)")
            var renewed = value("a", 1, under: "new")
            (renewed.wrappedKey, renewed.ciphertext) = ([9, 9], [])
            _ = try await store.commit(.values([.rewrap(renewed, from: "else"), .rewrap(value("z", 1), from: "old")]))
            try require(try await store.secretValue(key("a", 1)) == value("a", 1), "only from what it was")
            try require(try await store.secretValue(key("z", 1)) == nil, "what is gone stays gone")
            _ = try await store.commit(.values([.rewrap(renewed, from: "old")]))
            let row = try require(try await store.secretValue(key("a", 1)), "rewrapped")
            try require(row.masterKey == "new" && row.wrappedKey == [9, 9], "the new wrapping")
            try require(row.ciphertext == value("a", 1).ciphertext, "the value as it was")
        },
    ]
}

private func named(_ text: String) -> SecretName { SecretName(text)! }

private func key(_ text: String, _ version: Int64, _ group: GroupID = .default) -> SecretValueRow.Key {
    SecretValueRow.Key(group: group, name: named(text), version: version)
}

private func value(
    _ text: String, _ version: Int64, _ group: GroupID = .default, under masterKey: String = "old"
) -> SecretValueRow {
    SecretValueRow(
        key: key(text, version, group), masterKey: masterKey, wrappedKey: [0, 255, UInt8(version)],
        ciphertext: Array(text.utf8) + [0, 128])
}

extension Commit {
    /// - Parameter event: what stands at that version of the stream; a writing of it otherwise.
    static func secret(
        _ text: String, _ version: Int64, event: SecretEvent? = nil, in group: GroupID = .default,
        at: WallTime = start, values: [SecretValueChange] = []
    ) -> Commit {
        let append = StreamAppend(
            stream: .secret(named(text), in: group), group: group, expectedVersion: Int(version) - 1,
            events: [(event ?? .written(named(text), version: version)).recorded])
        var commit = Commit(appends: [append], metadata: .system, occurredAt: at)
        commit.secretValues = values
        return commit
    }

    fileprivate static func values(_ values: [SecretValueChange]) -> Commit {
        var commit = Commit(appends: [], metadata: .system, occurredAt: start)
        commit.secretValues = values
        return commit
    }
}
