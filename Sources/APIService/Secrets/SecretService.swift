package import APIContract
package import ComputeCore
package import ComputeDomain
import EventSourcing
package import Logging
package import SecretSealing

/// What the secrets stand on beside the store.
package struct SecretPorts: Sendable {
    package var records: any SecretRecords
    package var masterKeys: MasterKeys

    package init(records: any SecretRecords, masterKeys: MasterKeys) {
        self.records = records
        self.masterKeys = masterKeys
    }
}

/// What the API does about secrets, without HTTP. Values come in and go to computes, and nowhere else.
package struct SecretService: Sendable, StoreReader {
    let ports: APIPorts
    let settings: APISettings
    let logger: Logger

    package init(ports: APIPorts, settings: APISettings, logger: Logger) {
        self.ports = ports
        self.settings = settings
        self.logger = logger
    }

    /// How many versions of a secret are kept; a compute that is to get an older one is not made.
    package static let keptVersions: Int64 = 10

    /// Writes the next version.
    /// - Parameter isNew: 409 when there is such a secret.
    package func write(
        _ value: SecretBytes, to name: SecretName, isNew: Bool, for caller: Caller
    ) async throws(Problem) -> SecretSummary {
        try await decide(.write(name, isNew: isNew), name, caller) { (event, commit) throws(Problem) in
            guard case .written(_, let version) = event else { return }
            let row = try seal(value, SecretValueRow.Key(group: caller.group, name: name, version: version))
            commit.secretValues = [.put(row)]
            if version > Self.keptVersions {
                commit.secretValues.append(.forget(caller.group, name, through: version - Self.keptVersions))
            }
        }
        return try await get(name, for: caller)
    }

    /// With all its versions. Computes that have it keep what they were given.
    package func delete(_ name: SecretName, for caller: Caller) async throws(Problem) {
        try await decide(.delete(name), name, caller) { _, commit in
            commit.secretValues = [.forget(caller.group, name, through: .max)]
        }
    }

    package func get(_ name: SecretName, for caller: Caller) async throws(Problem) -> SecretSummary {
        let found = try await reading { () async throws(EventStoreError) in
            try await ports.secrets.records.secret(name, in: caller.group)
        }
        guard let found else { throw .noSuchSecret(name.rawValue) }
        return found
    }

    package func list(after cursor: String?, limit: Int, for caller: Caller) async throws(Problem) -> SecretPage {
        try await reading { () async throws(EventStoreError) in
            try await ports.secrets.records.secrets(
                in: caller.group, after: cursor.map { Cursor(rawValue: $0) }, limit: limit)
        }
    }

    // MARK: - Deciding

    private func decide(
        _ command: Secret.Command, _ name: SecretName, _ caller: Caller,
        _ complete: (SecretEvent, inout Commit) throws(Problem) -> Void
    ) async throws(Problem) {
        let stream = StreamID.secret(name, in: caller.group)
        // Conflicts need others who write the same secret at the same time; eight in a row are no accident.
        for _ in 0..<8 {
            let loaded = try await reading { () async throws(EventStoreError) in
                try await ports.store.load(Secret.self, stream)
            }
            let state = loaded.state
            let events: [SecretEvent]
            do {
                events = try Secret.decide(command, state)
            } catch {
                switch error {
                case .absent: throw .noSuchSecret(name.rawValue)
                case .alreadyThere: throw .secretExists(name)
                }
            }
            var commit = Commit(
                appends: [
                    StreamAppend(
                        stream: stream, group: caller.group, expectedVersion: loaded.version,
                        events: events.map(\.recorded))
                ], standing: caller.standing,
                counterMoves: Self.counted(events, from: state, in: caller.group, limit: settings.secretsPerGroup),
                metadata: caller.metadata, occurredAt: ports.clock.now())
            for event in events { try complete(event, &commit) }
            let outcome = try await reading { [commit] () async throws(EventStoreError) in
                try await ports.store.commit(commit)
            }
            switch outcome {
            case .committed: return
            case .overLimit(_, let limit): throw .tooManySecrets(limit)
            case .versionConflict: continue
            case .overtaken: throw .unauthenticated
            case .taken: throw .internalError
            }
        }
        throw .unavailable("too many changes at once")
    }

    /// How many secrets there are changes with the first version and the end, and with nothing between.
    private static func counted(
        _ events: [SecretEvent], from state: Secret.State, in group: GroupID, limit: Int64
    ) -> [CounterMove] {
        var wasThere = false
        if case .active = state { wasThere = true }
        return events.compactMap { event in
            switch event {
            case .written:
                wasThere ? nil : CounterMove(counter: .secrets(in: group), delta: 1, limit: limit)
            case .deleted: CounterMove(counter: .secrets(in: group), delta: -1)
            }
        }
    }

    private func seal(_ value: SecretBytes, _ key: SecretValueRow.Key) throws(Problem) -> SecretValueRow {
        do {
            return SecretValueRow(key, try ports.secrets.masterKeys.seal(value.bytes, at: key.place))
        } catch {
            logger.failure("a secret could not be sealed", error)
            throw .internalError
        }
    }
}

extension SecretValueRow.Key {
    /// What a value is bound to: a row that was copied elsewhere does not open there.
    var place: SecretPlace { SecretPlace(group: group, name: name.rawValue, version: version) }
}

extension SecretValueRow {
    init(_ key: Key, _ sealed: SealedSecret) {
        self.init(
            key: key, masterKey: sealed.masterKey.rawValue, wrappedKey: sealed.wrappedKey,
            ciphertext: sealed.ciphertext)
    }

    /// nil when the name of its master key is none.
    var sealed: SealedSecret? {
        MasterKeyID(masterKey).map {
            SealedSecret(masterKey: $0, wrappedKey: wrappedKey, ciphertext: ciphertext)
        }
    }
}

extension Problem {
    static func noSuchSecret(_ name: String) -> Problem { .notFound("there is no secret \(name.prefix(64))") }

    static func secretExists(_ name: SecretName) -> Problem {
        Problem(
            status: 409, code: .conflict, message: "there is a secret \(name); PUT writes its next version",
            field: "name")
    }

    static func tooManySecrets(_ limit: Int64) -> Problem {
        Problem.overQuota("the group has \(limit) secrets, which is the limit")
    }
}
