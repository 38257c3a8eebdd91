import ComputeCore
import ComputeDomain
import EventSourcing

extension EventStoreContract {
    static let sessions = [
        EventStoreContract(description: "a session token is listed while it is good, and counted until it expires") {
            store in
            let compute = ComputeID.random()
            let (short, long, elsewhere) = (SessionID.random(), SessionID.random(), SessionID.random())
            _ = try await store.commit(.session(short, of: compute, "quo'te\0é", for: .seconds(60)))
            _ = try await store.commit(.session(long, of: compute, at: start + .seconds(1), for: .seconds(600)))
            _ = try await store.commit(.session(elsewhere, of: .random(), for: .seconds(600)))
            let row = try require(try await store.session(short), "by id")
            try require(row.grant.description == "quo'te\0é" && row.group == .default && row.version == 1, "kept")
            func listed(at time: WallTime, limit: Int = 10) async throws -> [SessionID] {
                try await store.sessions(of: compute, goodAt: time, limit: limit).map(\.id)
            }
            try require(try await listed(at: start) == [short, long], "oldest first")
            try require(try await listed(at: start, limit: 1) == [short], "limit")
            try require(try await listed(at: start + .seconds(60)) == [long], "expired")
            _ = try await store.commit(.revoke(long, row: try await store.session(long)))
            let revoked = try require(try await store.session(long), "still there")
            try require(revoked.revokedAt == start + .seconds(2) && revoked.version == 2, "revoked")
            try require(!revoked.isGood(at: start + .seconds(3)) && row.isGood(at: start), "good")
            try require(try await listed(at: start + .seconds(59)) == [short], "not listed once it is revoked")
            for (seconds, count) in [(59, 1), (600, 1), (601, 0)] {
                let counted = try await store.revokedSessionCount(of: compute, at: start + .seconds(seconds))
                try require(counted == count, "counted until it expires: \(seconds)")
            }
            var folded: SessionSummary?
            for event in try await store.events(of: .session(long)) {
                folded = try SessionSummary.applying(event, to: folded)
            }
            try require(folded == revoked, "the row is the fold of the events")
        },
        EventStoreContract(description: "what is over is forgotten, and the log is not") { store in
            let (compute, old, new) = (ComputeID.random(), SessionID.random(), SessionID.random())
            _ = try await store.commit(.request(compute))
            _ = try await store.commit(.session(old, of: compute, for: .seconds(60)))
            _ = try await store.commit(.session(new, of: compute, at: start + .seconds(60), for: .seconds(60)))
            try require(try await store.session(old) == nil, "expired")
            try require(try await store.session(new) != nil, "not expired")
            // A revocation that comes late finds no row, and is no fault.
            _ = try await store.commit(
                Commit(
                    appends: [
                        StreamAppend(
                            stream: .session(old), group: .default, expectedVersion: 1,
                            events: [SessionTokenEvent.revoked(compute, expiresAt: start).recorded])
                    ], metadata: .system, occurredAt: start))
            try require(try await store.session(old) == nil, "not back")
            _ = try await store.commit(
                .compute(
                    compute, in: .default, expectedVersion: 1, before: .requested(ComputeSpec(timeout: .zero)),
                    events: [.ended(.deleted)], metadata: .system, at: start))
            try require(try await store.session(new) == nil, "the compute ended")
            try require(try await store.events(of: .session(new)).count == 1, "the log")
        },
        EventStoreContract(description: "the last use of a session only moves on") { store in
            let id = SessionID.random()
            _ = try await store.commit(.session(id, of: .random(), for: .seconds(60)))
            for (said, expected) in [(5, 5), (9, 9), (7, 9)] as [(Int, Int)] {
                try await store.noteUses([id: start + .seconds(said), .random(): start])
                let row = try require(try await store.session(id), "row")
                try require(row.lastUsedAt == start + .seconds(expected), "\(said)")
            }
            _ = try await store.commit(.revoke(id, row: try await store.session(id)))
            try require(try await store.session(id)?.lastUsedAt == start + .seconds(9), "kept by the next event")
        },
        EventStoreContract(description: "a private row that expires is forgotten with the next of its kind") { store in
            func put(_ key: String, expires: Int?, at: Int) async throws {
                var commit = Commit(appends: [], metadata: .system, occurredAt: start + .seconds(at))
                commit.privateRows = [
                    PrivateRow(
                        kind: "link", key: key, group: .default, value: .object([:]),
                        expiresAt: expires.map { start + .seconds($0) })
                ]
                try require(try await store.commit(commit).isCommitted, "commit")
            }
            try await put("kept", expires: nil, at: 0)
            try await put("first", expires: 10, at: 0)
            try await put("second", expires: 20, at: 9)
            let row = try require(try await store.privateRow(kind: "link", key: "first"), "still good")
            try require(row.expiresAt == start + .seconds(10), "its time")
            try await put("other", expires: nil, at: 15)
            try await put("third", expires: 30, at: 15)
            try require(try await store.privateRow(kind: "link", key: "first") == nil, "forgotten")
            try require(try await store.privateRow(kind: "link", key: "second") != nil, "not yet")
            try require(try await store.privateRow(kind: "link", key: "kept") != nil, "for good")
        },
    ]
}

extension Commit {
    fileprivate static func session(
        _ id: SessionID, of compute: ComputeID, _ description: String? = nil, at: WallTime = start,
        for lifetime: Duration
    ) -> Commit {
        let grant = SessionGrant(computeID: compute, description: description, createdAt: at, lifetime: lifetime)
        return Commit(
            appends: [
                StreamAppend(
                    stream: .session(id), group: .default, expectedVersion: 0,
                    events: [SessionTokenEvent.created(grant).recorded])
            ], metadata: .system, occurredAt: at)
    }

    fileprivate static func revoke(_ id: SessionID, row: SessionSummary?) -> Commit {
        Commit(
            appends: row.map { row in
                [
                    StreamAppend(
                        stream: .session(id), group: row.group, expectedVersion: row.version,
                        events: [
                            SessionTokenEvent.revoked(row.grant.computeID, expiresAt: row.grant.expiresAt).recorded
                        ])
                ]
            } ?? [], metadata: .system, occurredAt: start + .seconds(2))
    }
}
