import Auth
package import ComputeCore
package import ComputeDomain
package import EventSourcing

/// The keys of the API: who has one, and the first of all.
package struct APIKeys: Sendable {
    let store: any EventStore
    let records: any AccessRecords
    let clock: any WallClock
    private let bad: BadKeys

    package init(store: any EventStore, records: any AccessRecords, clock: any WallClock) {
        self.store = store
        self.records = records
        self.clock = clock
        bad = BadKeys(clock: clock)
    }

    /// Whether it was found bad a moment ago.
    func wasBad(_ text: String) -> Bool { APIKey(text).map { bad.contains($0.hash) } ?? true }

    /// As it was written last, so that a revocation acts at once: each time a handful of reads by primary key, over SQLite
    /// only after the next write.
    /// - Returns: nil for a key that is unknown, revoked or over.
    package func bearer(of text: String) async throws(EventStoreError) -> Bearer? {
        guard let key = APIKey(text) else { return nil }
        let bearer = try await bearer(of: key)
        if bearer == nil { bad.note(key.hash) } else { bad.forget(key.hash) }
        return bearer
    }

    private func bearer(of key: APIKey) async throws(EventStoreError) -> Bearer? {
        guard let found = try await records.chain(keyHash: key.hash) else { return nil }
        let now = clock.now()
        guard try found.chain.first?.accepts(secret: found.secret, at: now) == true else { return nil }
        var bearer = try Bearer(found.chain, at: now)
        bearer?.secret = found.secret
        return bearer
    }

    /// Makes the group `default` and its first key, which is an owner's.
    ///
    /// A unique row says whether there is one: two processes that start at once make one key. With a preset, that
    /// key is made valid if it is not yet, besides those that exist.
    /// - Parameter keep: puts a new key where its owner finds it. Called before the key becomes valid: the other way
    ///   round, a crash in between would leave a system whose only key nobody knows. A key that was kept and never
    ///   became valid is followed by another one at the next start.
    /// - Returns: the key in plain when it was newly made here, to be shown once; nil otherwise, also for a preset,
    ///   which its owner has.
    package func bootstrap(
        preset: String?, keep: (String) throws -> Void = { _ in }
    ) async throws(APIKeysError) -> String? {
        let group = GroupID.default
        if let preset {
            guard let key = APIKey(preset) else {
                throw APIKeysError(
                    "the preset API key must be \(APIKey.minimumLength) to \(APIKey.maximumLength) visible ASCII characters"
                )
            }
            do {
                try await make(group)
                // Known, also if revoked: a restart with the old setting must not bring a revoked key back.
                guard try await store.privateRow(kind: PrivateRow.apiKeyKind, key: key.hash) == nil else { return nil }
                // The hash names the stream, cut to a length that identifies it and can prove nothing.
                let keyID = "p" + key.hash.prefix(16)
                let isFirst = try await store.holder(of: first(group).key) == nil
                try await create(key, keyID: keyID, label: "preset", takes: isFirst ? [first(group)] : [], group)
                return nil
            } catch {
                throw APIKeysError("the preset API key could not be stored", cause: error)
            }
        }
        do {
            try await make(group)
            guard try await store.holder(of: first(group).key) == nil else { return nil }
            let key = APIKey.random()
            try keep(key.text)
            let isMade = try await create(
                key, keyID: String.randomLabel(length: 12), label: "first", takes: [first(group)], group)
            return isMade ? key.text : nil
        } catch {
            throw APIKeysError("the first API key could not be made", cause: error)
        }
    }

    private func first(_ group: GroupID) -> UniqueHold {
        UniqueHold(key: UniqueKey(group: group, scope: "api_key", key: "first"), owner: "bootstrap")
    }

    /// Nothing when it is there: another process may make it at the same time.
    private func make(_ group: GroupID) async throws(EventStoreError) {
        guard try await store.events(of: .group(group)).isEmpty else { return }
        _ = try await store.commit(
            Commit(
                appends: [
                    StreamAppend(
                        stream: .group(group), group: group, expectedVersion: 0,
                        events: [GroupEvent.created(name: group.rawValue).recorded])
                ], metadata: .system, occurredAt: clock.now()))
    }

    /// - Returns: false when another process was first.
    @discardableResult
    private func create(
        _ key: APIKey, keyID: String, label: String, takes: [UniqueHold], _ group: GroupID
    ) async throws(EventStoreError) -> Bool {
        let event = APIKeyEvent.created(
            KeyGrant(id: keyID, label: label, prefix: key.prefix, authority: Authority(role: .owner)))
        let outcome = try await store.commit(
            Commit(
                appends: [
                    StreamAppend(stream: .apiKey(keyID), group: group, expectedVersion: 0, events: [event.recorded])
                ],
                takes: takes, counterMoves: [CounterMove(counter: .keys(in: group), delta: 1)],
                privateRows: [.apiKey(hash: key.hash, keyID: keyID, in: group)], metadata: .system,
                occurredAt: clock.now()))
        switch outcome {
        case .committed: return true
        case .versionConflict, .taken, .overLimit, .overtaken: return false
        }
    }
}

extension CounterName {
    /// How many keys the group has that were not revoked.
    static func keys(in group: GroupID) -> CounterName { CounterName(group: group, name: "keys") }
    /// How many groups there are.
    static var groups: CounterName { CounterName(group: .default, name: "groups") }
}

package struct APIKeysError: Error, Sendable, CustomStringConvertible {
    package var message: String
    package var cause: (any Error)?

    init(_ message: String, cause: (any Error)? = nil) {
        self.message = message
        self.cause = cause
    }

    package var description: String { message + (cause.map { " (\($0))" } ?? "") }
}
