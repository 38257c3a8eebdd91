package import ComputeCore
package import EventSourcing

extension AccessRecord {
    private func read<T>(_ what: (EventDataReader) throws(Problem) -> T) throws(EventStoreError) -> T {
        do throws(Problem) {
            return try what(EventDataReader(FieldReader(body)))
        } catch {
            throw EventStoreError(.corrupt, "the record \(id) cannot be read: \(error.message)", cause: error)
        }
    }

    /// What this credential may by itself.
    package func authority() throws(EventStoreError) -> Authority { try read(Authority.init) }
    package func key() throws(EventStoreError) -> KeyGrant { try read(KeyGrant.init) }
    package func member() throws(EventStoreError) -> GroupMember {
        try read { (reader) throws(Problem) in try GroupMember(reader.fields) }
    }
    package func session() throws(EventStoreError) -> APISessionGrant { try read(APISessionGrant.init) }
    package var name: String? { if case .string(let name)? = body["name"] { name } else { nil } }

    /// Whether that secret of this key is good: its last one, or the one before while they overlap.
    package func accepts(secret: Int, at now: WallTime) throws(EventStoreError) -> Bool {
        guard body["number"] != nil else { return secret == 1 }
        let (number, until) = try read { (reader) throws(Problem) in
            (try reader.integer("number", in: 1...Int64(Int32.max)), try reader.time("overlapUntil"))
        }
        return secret == Int(number) || (secret == Int(number) - 1 && now < until)
    }

    /// Until when the secret before the last one is good.
    package var overlapUntil: WallTime? {
        if case .string(let text)? = body["overlapUntil"] { WallTime(rfc3339: text) } else { nil }
    }
}

extension [AccessRecord] {
    /// What the first of the chain may now: no more than any of those that it stands on.
    /// - Returns: nil when one of them is over, or is another group's.
    package func authority(at now: WallTime) throws(EventStoreError) -> Authority? {
        guard let first, last?.ownerID == nil else { return nil }
        var authority = try first.authority()
        for record in self {
            guard record.group == first.group, record.expiresAt.map({ now < $0 }) ?? true else { return nil }
            authority = authority.limited(by: try record.authority())
        }
        return authority
    }

    /// Whether this, which is the chain of the standing's credential now, is still what it was.
    package func uphold(_ standing: Standing, at now: WallTime) throws(EventStoreError) -> Bool {
        guard let first, first.group == standing.group, try authority(at: now) != nil else { return false }
        let origins = try map { (record) throws(EventStoreError) in try record.origin().text }
        guard origins == standing.origins else { return false }
        guard let secret = standing.secret else { return true }
        return try first.accepts(secret: secret, at: now)
    }
}
