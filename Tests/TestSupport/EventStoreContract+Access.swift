package import ComputeCore
package import ComputeDomain
package import EventSourcing

extension EventStoreContract {
    static let access = [
        EventStoreContract(description: "a key is found by its hash with all that it stands on, until it is revoked") {
            store in
            let member = GroupMember(
                id: "mary00000000", subject: Subject(issuer: "https://i'd.example", name: "m\0ry"), role: .admin)
            let grant = KeyGrant(
                id: "key000000000", label: "quo'te\0é", prefix: "csdk_1",
                authority: Authority(role: .owner, scopes: [.keysRead, .keysWrite], expiresAt: start + .seconds(60)),
                member: member.id)
            _ = try await store.commit(.group(other, [.created(name: "n"), .memberAdded(member)]))
            _ = try await store.commit(.key(grant, [.created(grant)], in: other, hash: "h1"))
            let found = try require(try await store.chain(keyHash: "h1"), "by hash")
            try require(found.secret == 1 && found.chain.map(\.id.kind) == [.key, .member], "key and member")
            try require(try found.chain[0].key() == grant && found.chain[1].member() == member, "what they are")
            let session = APISessionGrant(
                id: "session00000", owner: found.chain[0].id, authority: Authority(role: .viewer), createdAt: start,
                expiresAt: start + .seconds(30))
            _ = try await store.commit(.session(session, [.created(session)], in: other))
            let chain = try await store.chain(AccessRecord.ID(.session, session.id))
            try require(chain.map(\.id.kind) == [.session, .key, .member], "session, key and member")
            try require(try chain[0].session() == session, "what it is")
            try require(
                try chain.authority(at: start)
                    == Authority(role: .viewer, scopes: [.keysRead, .keysWrite], expiresAt: start + .seconds(30)),
                "the least of all")
            let late = start + .seconds(30)
            try require(try chain.authority(at: late) == nil && found.chain.authority(at: late) != nil, "its own time")
            try require(try found.chain.authority(at: start + .seconds(60)) == nil, "the key's time")
            // Rotated: two secrets, then one.
            let rotated = APIKeyEvent.rotated(number: 2, prefix: "csdk_2", overlapUntil: start + .seconds(5))
            _ = try await store.commit(.key(grant, [rotated], version: 1, in: other, hash: "h2", secret: 2))
            let (old, new) = (try await store.chain(keyHash: "h1"), try await store.chain(keyHash: "h2"))
            try require(old?.secret == 1 && new?.secret == 2, "which secret")
            let record = try require(new?.chain.first, "record")
            try require(try record.key().prefix == "csdk_2", "changed by the rotation")
            for (secret, seconds, isGood) in [(1, 0, true), (1, 5, false), (2, 0, true), (2, 5, true), (3, 0, false)] {
                try require(
                    try record.accepts(secret: secret, at: start + .seconds(seconds)) == isGood, "\(secret) \(seconds)")
            }
            // One of the chain goes: it is broken.
            _ = try await store.commit(.group(other, [.memberRemoved(id: member.id, demotions: 0)], version: 2))
            try require(
                try await store.chain(AccessRecord.ID(.session, session.id)).authority(at: start) == nil, "no member")
            _ = try await store.commit(.key(grant, [.revoked], version: 2, in: other))
            try require(try await store.chain(keyHash: "h2")?.chain.isEmpty == true, "revoked")
            try require(try await store.chain(AccessRecord.ID(.session, session.id)).count == 1, "its session stays")
            try require(try await store.chain(keyHash: "h3") == nil, "unknown hash")
        },
        EventStoreContract(description: "records are listed oldest first, by group and by owner, in pages") { store in
            var ids: [String] = []
            for n in 0..<5 {
                let grant = KeyGrant(
                    id: "key\(9 - n)", label: "l", prefix: "p", authority: Authority(role: .viewer),
                    member: n % 2 == 0 ? "even" : nil)
                ids.append(grant.id)
                // Two at a time: the id decides.
                _ = try await store.commit(.key(grant, [.created(grant)], at: start + .seconds(n / 2)))
            }
            let foreign = KeyGrant(id: "key0", label: "l", prefix: "p")
            _ = try await store.commit(.key(foreign, [.created(foreign)], in: other))
            func all(_ group: GroupID?, ownedBy owner: String? = nil, limit: Int) async throws -> [String] {
                var (found, next) = ([String](), Cursor?.none)
                while true {
                    let page = try await store.records(.key, in: group, ownedBy: owner, after: next, limit: limit)
                    found += page.records.map(\.id.id)
                    guard let cursor = page.next else { return found }
                    next = cursor
                }
            }
            for limit in [1, 2, 5, 100] {
                let listed = try await all(.default, limit: limit)
                try require(listed == ["key8", "key9", "key6", "key7", "key5"], "limit \(limit): \(listed)")
            }
            try require(try await all(.default, ownedBy: "member:even", limit: 2) == ["key9", "key7", "key5"], "owner")
            try require(try await all(nil, limit: 3).count == 6, "all groups")
            try require(try await all(other, limit: 3) == ["key0"], "the other")
            do {
                _ = try await store.records(
                    .key, in: nil, ownedBy: nil, after: Cursor(rawValue: "ZQEAAAAAAAAAAg"), limit: 1)
                throw ContractViolation(description: "taken for a cursor")
            } catch let error as EventStoreError { try require(error.code == .badCursor, "\(error)") }
        },
        EventStoreContract(description: "who is a member is found by who he is, and changes at once") { store in
            let subject = Subject(issuer: "https://a", name: "x")
            for (group, id) in [(GroupID.default, "one"), (other, "two")] {
                let member = GroupMember(id: id, subject: subject, name: "n", role: .viewer)
                _ = try await store.commit(.group(group, [.created(name: "g"), .memberAdded(member)]))
            }
            let found = try await store.records(.member, in: nil, ownedBy: subject.ownerText, after: nil, limit: 9)
            try require(found.records.map(\.group) == [.default, other], "both groups")
            let stranger = Subject(issuer: "https://", name: "ax").ownerText
            let none = try await store.records(.member, in: nil, ownedBy: stranger, after: nil, limit: 9).records
            try require(none.isEmpty, "another one")
            _ = try await store.commit(
                .group(
                    other, [.memberRoleChanged(id: "two", role: .owner, demotions: nil), .renamed(name: "new")],
                    version: 2))
            let chain = try await store.chain(AccessRecord.ID(.member, "two"))
            try require(try chain.authority(at: start)?.role == .owner && chain[0].member().name == "n", "changed")
            try require(
                try await store.chain(AccessRecord.ID(.group, other.rawValue)).first?.name == "new", "renamed")
        },
        EventStoreContract(description: "with a deleted group all its records go, and no other group's") { store in
            for group in [GroupID.default, other] {
                let member = GroupMember(
                    id: "m-\(group)", subject: Subject(issuer: "https://a", name: "x"), role: .owner)
                _ = try await store.commit(.group(group, [.created(name: "g"), .memberAdded(member)]))
                let grant = KeyGrant(id: "k-\(group)", label: "l", prefix: "p", member: member.id)
                _ = try await store.commit(.key(grant, [.created(grant)], in: group, hash: "h-\(group)"))
                let session = APISessionGrant(
                    id: "s-\(group)", owner: AccessRecord.ID(.key, grant.id), authority: Authority(role: .viewer),
                    createdAt: start, expiresAt: start + .seconds(10))
                _ = try await store.commit(.session(session, [.created(session)], in: group))
            }
            _ = try await store.commit(.group(other, [.deleted], version: 2))
            for kind in AccessRecord.Kind.allCases {
                let left = try await store.records(kind, in: nil, ownedBy: nil, after: nil, limit: 9).records
                try require(left.map(\.group) == [.default], "\(kind)")
            }
            try require(try await store.chain(keyHash: "h-other")?.chain.isEmpty == true, "its key")
            try require(try await store.chain(keyHash: "h-default")?.chain.count == 2, "another group's")
        },
        EventStoreContract(description: "nothing is changed on a standing that is over, or less than it was") { store in
            let mary = GroupMember(id: "mary", subject: Subject(issuer: "https://a", name: "x"), role: .admin)
            let key = KeyGrant(
                id: "keyofmary", label: "l", prefix: "p",
                authority: Authority(role: .admin, expiresAt: start + .seconds(60)), member: mary.id)
            _ = try await store.commit(.group(other, [.created(name: "g"), .memberAdded(mary)]))
            _ = try await store.commit(.key(key, [.created(key)], in: other))
            func standing() async throws -> Standing {
                let chain = try await store.chain(AccessRecord.ID(.key, key.id))
                return Standing(
                    group: other, credential: "key:\(key.id)", origins: try chain.map { try $0.origin().text },
                    secret: 1)
            }
            var count = 0
            func outcome(_ standing: Standing, at seconds: Int = 0) async throws -> CommitOutcome {
                count += 1
                var commit = Commit.notes("n\(count)")
                commit.standing = standing
                commit.occurredAt = start + .seconds(seconds)
                return try await store.commit(commit)
            }
            let first = try await standing()
            try require(try await outcome(first).isCommitted, "good")
            try require(try await outcome(first, at: 60) == .overtaken, "its time")
            for (change, what) in [
                ({ $0.group = .default }, "another group"), ({ $0.credential = "key:nobody" }, "unknown"),
                ({ $0.credential = "nobody" }, "no record's name"), ({ $0.secret = 2 }, "another secret"),
            ] as [((inout Standing) -> Void, String)] {
                var wrong = first
                change(&wrong)
                try require(try await outcome(wrong) == .overtaken, what)
            }
            let demoted = GroupEvent.memberRoleChanged(id: mary.id, role: .viewer, demotions: 1)
            _ = try await store.commit(.group(other, [demoted], version: 2))
            try require(try await outcome(first) == .overtaken, "more than she may now")
            try require(try await outcome(try await standing()).isCommitted, "what she may now")
            let rotated = APIKeyEvent.rotated(number: 2, prefix: "q", overlapUntil: start + .seconds(5))
            _ = try await store.commit(.key(key, [rotated], version: 1, in: other))
            try require(try await outcome(try await standing()).isCommitted, "while both secrets are good")
            try require(try await outcome(try await standing(), at: 5) == .overtaken, "the old secret")
            _ = try await store.commit(.key(key, [.revoked], version: 2, in: other))
            try require(try await outcome(first) == .overtaken, "revoked")
            try require(
                try await store.drain(limit: 100).events.count { $0.stream.category == "note" } == 3, "no trace")
        },
        EventStoreContract(description: "of a revocation and what is done on it at once, only what came before stays") {
            store in
            for round in 0..<20 {
                let group = GroupID("group\(round)")
                let (old, new) = (
                    KeyGrant(id: "old\(round)", label: "l", prefix: "p"),
                    KeyGrant(id: "new\(round)", label: "l", prefix: "p")
                )
                _ = try await store.commit(.group(group, [.created(name: "g")]))
                _ = try await store.commit(.key(old, [.created(old)], in: group))
                var making = Commit.key(new, [.created(new)], in: group)
                making.standing = Standing(group: group, credential: "key:\(old.id)", origins: [old.id])
                let (made, deletion) = (making, Commit.group(group, [.deleted], version: 1))
                async let outcome = store.commit(made)
                async let end = store.commit(deletion)
                let (wasMade, isOver) = (try await outcome, try await end)
                try require(isOver.isCommitted && (wasMade.isCommitted || wasMade == .overtaken), "\(wasMade)")
                let left = try await store.records(.key, in: group, ownedBy: nil, after: nil, limit: 9).records
                try require(left.isEmpty, "a key of a group that is gone, made: \(wasMade.isCommitted)")
            }
        },
        EventStoreContract(description: "the last use of a credential only moves on, and sessions that are over go") {
            store in
            let grant = KeyGrant(id: "key0", label: "l", prefix: "p")
            let id = AccessRecord.ID(.key, grant.id)
            _ = try await store.commit(.key(grant, [.created(grant)]))
            for (said, expected) in [(5, 5), (9, 9), (7, 9)] as [(Int, Int)] {
                try await store.noteAccess([id: start + .seconds(said), AccessRecord.ID(.key, "?"): start])
                try require(
                    try await store.chain(id).first?.lastUsedAt == start + .seconds(expected), "\(said)")
            }
            let rotated = APIKeyEvent.rotated(number: 2, prefix: "q", overlapUntil: start)
            _ = try await store.commit(.key(grant, [rotated], version: 1))
            try require(try await store.chain(id).first?.lastUsedAt == start + .seconds(9), "kept by the next event")
            func session(_ id: String, at seconds: Int) async throws {
                let now = start + .seconds(seconds)
                let session = APISessionGrant(
                    id: id, owner: AccessRecord.ID(.key, "key0"), authority: Authority(role: .viewer), createdAt: now,
                    expiresAt: now + .seconds(10))
                _ = try await store.commit(.session(session, [.created(session)], at: now))
            }
            try await session("first", at: 0)
            try await session("second", at: 10)
            let left = try await store.records(.session, in: nil, ownedBy: "key:key0", after: nil, limit: 9).records
            try require(left.map(\.id.id) == ["second"], "the first is over")
        },
    ]
}

extension Commit {
    static func group(_ group: GroupID, _ events: [GroupEvent], version: Int = 0) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: .group(group), group: group, expectedVersion: version, events: events.map(\.recorded))
            ], metadata: .system, occurredAt: start)
    }

    package static func key(
        _ grant: KeyGrant, _ events: [APIKeyEvent], version: Int = 0, in group: GroupID = .default,
        hash: String? = nil, secret: Int = 1, at time: WallTime = start
    ) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: .apiKey(grant.id), group: group, expectedVersion: version, events: events.map(\.recorded))
            ],
            privateRows: hash.map { [.apiKey(hash: $0, keyID: grant.id, in: group, secret: secret)] } ?? [],
            metadata: .system, occurredAt: time)
    }

    static func session(
        _ grant: APISessionGrant, _ events: [APISessionEvent], in group: GroupID = .default, at time: WallTime = start
    ) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: .apiSession(grant.id), group: group, expectedVersion: 0, events: events.map(\.recorded))
            ], metadata: .system, occurredAt: time)
    }
}
