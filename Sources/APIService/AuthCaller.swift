import APIContract
import Auth
import ComputeCore
import ComputeDomain
import HTTPTypes
import Hummingbird

/// Whoever shows a token of a compute.
struct AuthCaller: Sendable {
    let token: AccessToken
    /// When the first of the credentials that it came of is over; nil: none of them is by itself. What is made with it is
    /// good for no longer.
    let originsEnd: WallTime?

    /// The token that is shown, signed by us and not expired; whether it was taken back is not known yet.
    /// - Throws: 401 for no such token.
    static func token(in request: Request, _ ports: APIPorts) async throws -> AccessToken {
        let values = request.headers[values: .authorization]
        guard values.count <= 1 else {
            throw Problem.invalid("authorization", "Authorization is there more than once")
        }
        let parts = (values.first ?? "").split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { throw Problem.tokenNeeded }
        guard let token = try? await ports.tokens.verifier.verify(String(parts[1]), now: ports.clock.now()) else {
            throw Problem.tokenNeeded
        }
        return token
    }

    /// - Throws: 401 for no token, or one that is not good for this compute (any more).
    init(
        _ request: Request, _ context: APIRequestContext, of compute: ComputeSummary, _ service: SessionService
    ) async throws {
        let token = try await Self.token(in: request, service.ports)
        guard token.computeID == compute.id, token.group == compute.group else { throw Problem.tokenNeeded }
        if token.kind == .session {
            guard let id = SessionID(token.tokenID), try await service.record(of: id)?.isRevoked == false else {
                throw Problem.tokenNeeded
            }
        }
        guard case .good(let end) = try await service.standing(ofOrigins: token.origins) else {
            throw Problem.tokenNeeded
        }
        // One that is shorter than others was cut at the end of what it came of: a sign-in has no record that says so.
        let isCut = token.kind == .access && token.expiresAt < token.issuedAt + AccessToken.defaultLifetime
        originsEnd = [end, isCut ? token.expiresAt : nil].compactMap(\.self).min()
        self.token = token
    }
}

extension Problem {
    static let tokenNeeded = Problem(
        status: 401, code: .unauthenticated, message: "this needs the sandbox's access token")
}
