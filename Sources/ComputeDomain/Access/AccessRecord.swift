package import ComputeCore
package import EventSourcing

/// The read model of who may do what: groups, members, keys and sessions that are good. Written in the transaction of
/// the events, so that a revocation holds from its answer on. What is over has no record: the log has it.
package protocol AccessRecords: Sendable {
    /// The record, then the one that it stands on, and so on: a session, its key, that key's member. Empty when the
    /// first one is not there; a chain whose last record still has an owner of a record's kind is broken.
    func chain(_ id: AccessRecord.ID) async throws(EventStoreError) -> [AccessRecord]

    /// The chain of the key whose secret has that hash, with which of its secrets it is; nil when there is none.
    func chain(keyHash: String) async throws(EventStoreError) -> KeyFinding?

    /// Oldest first.
    /// - Parameters:
    ///   - group: whose; nil only inside the system.
    ///   - owner: what they stand on; nil: any.
    ///   - limit: at most this many, 1 to 1000.
    func records(
        _ kind: AccessRecord.Kind, in group: GroupID?, ownedBy owner: String?, after cursor: Cursor?, limit: Int
    ) async throws(EventStoreError) -> AccessPage

    /// Notes when credentials were last used. No event: it is said every few seconds, and losing it loses nothing.
    /// Unknown ones, and times before the one that is known, change nothing.
    func noteAccess(_ uses: [AccessRecord.ID: WallTime]) async throws(EventStoreError)
}

package struct KeyFinding: Hashable, Sendable {
    package var secret: Int
    package var chain: [AccessRecord]

    package init(secret: Int, chain: [AccessRecord]) {
        self.secret = secret
        self.chain = chain
    }
}

package struct AccessPage: Sendable {
    package var records: [AccessRecord]
    /// Where to go on; nil when this was the last page.
    package var next: Cursor?

    package init(records: [AccessRecord], next: Cursor?) {
        self.records = records
        self.next = next
    }
}

/// One group, member, key or session that is good.
package struct AccessRecord: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable { case group, member, key, session }

    package struct ID: Hashable, Sendable, CustomStringConvertible {
        package var kind: Kind
        package var id: String

        package init(_ kind: Kind, _ id: String) {
            self.kind = kind
            self.id = id
        }

        /// `key:<id>`: what an actor is called in events, too.
        package var description: String { "\(kind.rawValue):\(id)" }

        package init?(_ text: String) {
            guard let colon = text.firstIndex(of: ":"), let kind = Kind(rawValue: String(text[..<colon])) else {
                return nil
            }
            self.init(kind, String(text[text.index(after: colon)...]))
        }
    }

    package var id: ID
    package var group: GroupID
    /// What it stands on and ends with: another record; or, of a member, who he is.
    package var owner: String?
    package var createdAt: WallTime
    package var expiresAt: WallTime?
    /// Not from an event.
    package var lastUsedAt: WallTime?
    /// The data of the event that made it, with what later ones changed.
    package var body: [String: JSONValue]

    package init(
        id: ID, group: GroupID, owner: String? = nil, createdAt: WallTime, expiresAt: WallTime? = nil,
        lastUsedAt: WallTime? = nil, body: [String: JSONValue]
    ) {
        self.id = id
        self.group = group
        self.owner = owner
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.lastUsedAt = lastUsedAt
        self.body = body
    }

    /// The record that it stands on; nil for none, and for a member's subject.
    package var ownerID: ID? { owner.flatMap { ID($0) } }

    /// How long a chain can be: a session, its key, that key's member.
    package static let longestChain = 3
}

extension Subject {
    /// By which a member is found. Starts as no id of a record does.
    package var ownerText: String { "subject:\(issuer.utf8.count):\(issuer)/\(name)" }
}

/// A place in a list of records: after the one that was made then, ids deciding between equals.
package struct AccessCursor: Hashable, Sendable {
    package var createdAt: WallTime
    package var id: String

    package init(after record: AccessRecord) {
        createdAt = record.createdAt
        id = record.id.id
    }

    private static let version: UInt8 = 1

    package var cursor: Cursor {
        Cursor(kind: .access, version: Self.version, payload: createdAt.milliseconds.bytes + Array(id.utf8))
    }

    package init(_ cursor: Cursor) throws(EventStoreError) {
        let payload = try cursor.payload(kind: .access, version: Self.version)
        guard payload.count > 8, let milliseconds = Int64(bytes: payload.prefix(8)),
            let id = String(validating: payload.dropFirst(8), as: UTF8.self), !id.utf8.contains(0)
        else { throw EventStoreError(.badCursor, "the cursor is not one of this list") }
        createdAt = WallTime(milliseconds: milliseconds)
        self.id = id
    }
}
