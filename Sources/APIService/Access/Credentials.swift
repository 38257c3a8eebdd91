import Auth
package import ComputeCore
package import ComputeDomain
package import EventSourcing

/// Whoever shows a credential of the API: which one, and what it may now.
package struct Bearer: Hashable, Sendable {
    package var credential: AccessRecord.ID
    package var group: GroupID
    package var authority: Authority
    /// The member that it stands on, if one does.
    package var member: String?
    /// Of a key: which of its secrets was shown.
    package var secret: Int?
    /// Itself and all that it stands on: whatever came of it ends with any of them.
    package var origins: [Origin]
    /// When the credential itself is over; what somebody signed in with may be over long before what he may.
    package var expiresAt: WallTime?

    /// - Returns: nil when something that it stands on is over.
    package init?(_ chain: [AccessRecord], at now: WallTime) throws(EventStoreError) {
        guard let first = chain.first, let authority = try chain.authority(at: now) else { return nil }
        credential = first.id
        group = first.group
        self.authority = authority
        origins = try chain.map { (record) throws(EventStoreError) in try record.origin() }
        expiresAt = authority.expiresAt
        member = chain.last.flatMap { $0.id.kind == .member ? $0.id.id : nil }
    }
}

/// Finds out who asks, whatever he shows: a key, a session's token, or a token of the issuer that is trusted. Nothing is
/// kept here: each request asks the records, so that a revocation holds for the next one in every instance.
package struct Credentials: Sendable {
    let keys: APIKeys
    let sessions: APISessionService
    let people: SignIns?
    let uses: CredentialUses
    let clock: any WallClock

    /// - Parameter choice: which of his groups somebody who is in several means.
    /// - Throws: 401, or 400 and 404 about the group.
    package func bearer(_ text: String, in choice: SignIns.Choice) async throws -> Bearer {
        let found: Bearer?
        if AccessToken.hasOwnShape(text) {
            found = try await sessions.bearer(of: text)
        } else if let people, SignIns.hasShape(text) {
            found = try await people.bearer(of: text, in: choice)
        } else {
            found = try await keys.bearer(of: text)
        }
        guard let found else { throw Problem.unauthenticated }
        uses.note(found.credential, at: clock.now())
        return found
    }

    /// Whether it is a key that was found bad a moment ago. Of others nothing is remembered: their signature says most, and a
    /// person who is in no group may be in one the next moment.
    func wasBad(_ text: String) -> Bool {
        guard !AccessToken.hasOwnShape(text), people == nil || !SignIns.hasShape(text) else { return false }
        return keys.wasBad(text)
    }

    /// Whether somebody who was let in to a route may stay: for answers that go on for longer than a request does. What
    /// was taken from him meanwhile is what `bearer` and the table would refuse now, and also what ends tokens.
    package func mayStay(_ caller: Caller, on method: String, _ path: String) async throws(EventStoreError) -> Bool {
        let now = clock.now()
        guard let credential = caller.credential, caller.expiresAt.map({ now < $0 }) ?? true else { return false }
        let chain = try await sessions.ports.access.chain(credential)
        guard let standing = caller.standing, try chain.uphold(standing, at: now),
            let authority = try chain.authority(at: now)
        else { return false }
        var caller = caller
        caller.authority = authority
        do { try AuthorizationTable.check(caller, method, path) } catch { return false }
        return true
    }
}
