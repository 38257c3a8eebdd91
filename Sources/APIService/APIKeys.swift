import Auth
package import ComputeCore
import ComputeDomain
package import EventSourcing

/// Who may call the API.
package struct APIKeys: Sendable {
    let store: any EventStore
    let clock: any WallClock

    package init(store: any EventStore, clock: any WallClock) {
        self.store = store
        self.clock = clock
    }

    package struct Bearer: Hashable, Sendable {
        package var keyID: String
        package var group: GroupID
    }

    /// Looked up each time, so that a revocation acts at once; it is one read by primary key.
    /// - Returns: nil for a key that is unknown or revoked.
    package func bearer(of text: String) async throws(EventStoreError) -> Bearer? {
        guard let key = APIKey(text), let row = try await store.privateRow(kind: PrivateRow.apiKeyKind, key: key.hash),
            let id = row.activeAPIKeyID
        else { return nil }
        return Bearer(keyID: id, group: row.group)
    }

    /// Makes the first key.
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

    /// - Returns: false when another process was first.
    @discardableResult
    private func create(
        _ key: APIKey, keyID: String, label: String, takes: [UniqueHold], _ group: GroupID
    ) async throws(EventStoreError) -> Bool {
        let event = APIKeyEvent.created(keyID: keyID, label: label, prefix: key.prefix)
        let outcome = try await store.commit(
            Commit(
                appends: [
                    StreamAppend(stream: .apiKey(keyID), group: group, expectedVersion: 0, events: [event.recorded])
                ],
                takes: takes, privateRows: [.apiKey(hash: key.hash, keyID: keyID, in: group)], metadata: .system,
                occurredAt: clock.now()))
        switch outcome {
        case .committed: return true
        case .versionConflict, .taken, .overLimit: return false
        }
    }
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
