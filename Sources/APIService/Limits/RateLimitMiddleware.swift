import Auth
import ComputeCore
import HTTPTypes
import Hummingbird
import Synchronization

/// What was said of one request, kept for the headers of its answer. Shared by all copies of its context.
final class AllowanceNote: Sendable {
    private let allowance = Mutex<Allowance?>(nil)

    var current: Allowance? { allowance.withLock { $0 } }

    /// Whether it may go on. The last word counts for the headers: a request whose credential is good is not the
    /// address's.
    /// - Throws: 429.
    func admit(_ whose: RateLimited, by limits: RateLimits) throws(Problem) {
        guard let said = limits.take(whose) else { return }
        allowance.withLock { $0 = said }
        guard said.isGranted else { throw .rateLimited(said) }
    }

    /// For who shows nothing that is good.
    func admit(stranger request: Request, _ context: APIRequestContext, by limits: RateLimits) throws(Problem) {
        let forwarded = KeyMiddleware.forwarded(request.headers)
        guard let address = ClientAddress.of(peer: context.peer, forwarded: forwarded) else { return }
        try admit(.address(address), by: limits)
    }
}

/// Counts the requests of routes that ask for no credential of the API: with a token of a compute for that compute, else
/// for the address. Routes that ask for one are counted where it is looked at (`KeyMiddleware`).
struct RateLimitMiddleware: RouterMiddleware {
    typealias Context = APIRequestContext
    let limits: RateLimits
    let ports: APIPorts

    func handle(
        _ request: Request, context: APIRequestContext, next: (Request, APIRequestContext) async throws -> Response
    ) async throws -> Response {
        let path = context.endpointPath ?? ""
        switch AuthorizationTable.counting(path) {
        case .nobody, .credential: break
        case .token:
            // A token that was taken back still is somebody's: it spends what is its own, and is refused further on.
            if let token = try? await AuthCaller.token(in: request, ports) {
                let name = token.kind == .access ? "sandbox:\(token.computeID)" : "token:\(token.tokenID)"
                try context.allowance.admit(.credential(name), by: limits)
            } else {
                try context.allowance.admit(stranger: request, context, by: limits)
            }
        case .address: try context.allowance.admit(stranger: request, context, by: limits)
        }
        return try await next(request, context)
    }
}

extension AuthorizationTable {
    /// For whom the requests of a path are counted.
    enum Counting { case nobody, credential, token, address }

    /// Probes are nobody's: whoever watches a server must not be told that it is busy by his own questions. What is no
    /// route is the address's.
    static func counting(_ path: String) -> Counting {
        if probes.contains(path) { return .nobody }
        switch access(path) {
        case .credential, .operators: return .credential
        case .computeToken: return .token
        case .open, nil: return .address
        }
    }

    static let probes: Set<String> = ["/health", "/ready"]
}

extension HTTPFields {
    /// As draft-ietf-httpapi-ratelimit-headers-06 has them.
    mutating func say(_ allowance: Allowance) {
        self[.rateLimitLimit] = String(allowance.limit)
        self[.rateLimitPolicy] = "\(allowance.limit);w=1"
        self[.rateLimitRemaining] = String(allowance.remaining)
        self[.rateLimitReset] = String(allowance.resetSeconds)
    }
}

extension HTTPField.Name {
    static let rateLimitLimit = HTTPField.Name("RateLimit-Limit")!
    static let rateLimitPolicy = HTTPField.Name("RateLimit-Policy")!
    static let rateLimitRemaining = HTTPField.Name("RateLimit-Remaining")!
    static let rateLimitReset = HTTPField.Name("RateLimit-Reset")!
}
