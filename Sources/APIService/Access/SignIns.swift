package import Auth
package import ComputeCore
package import ComputeDomain

/// People who come with a token of the issuer that is trusted. The issuer says who they are; what they may, the groups
/// that they are members of.
package struct SignIns: Sendable {
    package let issuer: ExternalIssuer
    let records: any AccessRecords
    let clock: any WallClock

    package init(issuer: ExternalIssuer, records: any AccessRecords, clock: any WallClock) {
        self.issuer = issuer
        self.records = records
        self.clock = clock
    }

    /// Which of his groups somebody means.
    package enum Choice: Hashable, Sendable {
        case group(GroupID)
        /// Nobody said: then it is the group `default`. Any admin can make anybody a member of his own group, and must not
        /// be given what somebody makes who does not know.
        case unsaid
        /// Any: the route is about all of them.
        case any
    }

    /// Whether the text is a JWT. A preset key may have dots in it, too, but no such header.
    static func hasShape(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = [UInt8](base64URL: parts[0]),
            case .object(let fields)? = try? JSONDocument.parse(header)
        else { return false }
        return fields["alg"] != nil
    }

    /// - Returns: nil for a token that is not good, or not for us.
    /// - Throws: 404 for a group that he is not in, 403 when he is in none, 400 when it is not said which, 503 when
    ///   the issuer cannot be asked.
    func bearer(of token: String, in choice: Choice) async throws -> Bearer? {
        let identity: ExternalIdentity
        switch await issuer.verdict(on: token) {
        case .valid(let found): identity = found
        case .refused: return nil
        case .unavailable: throw Problem.unavailable("sign-ins cannot be checked at the moment", retryAfterSeconds: 10)
        }
        let owner = Subject(issuer: identity.issuer, name: identity.subject).ownerText
        let memberships = try await records.records(.member, in: nil, ownedBy: owner, after: nil, limit: 1000).records
        let chosen: AccessRecord?
        switch choice {
        case .group(let group):
            chosen = memberships.first { $0.group == group }
            guard chosen != nil else { throw Problem.noSuchGroup }
        case .any: chosen = memberships.first
        case .unsaid:
            chosen = memberships.first { $0.group == .default }
            guard chosen != nil || memberships.isEmpty else {
                throw Problem.invalid(
                    KeyMiddleware.groupHeader,
                    "\(KeyMiddleware.groupHeader) must say which group is meant; GET /v1/groups lists yours")
            }
        }
        guard let chosen else { throw Problem.forbidden("you are not a member of any group here") }
        var bearer = try Bearer([chosen], at: clock.now())
        bearer?.expiresAt = identity.expiresAt
        return bearer
    }
}
