/// A request that cannot be answered as asked. API, Gateway and Sidekick all answer it with the same body.
package struct Problem: Error, Hashable, Sendable {
    /// The HTTP status.
    package var status: Int
    package var code: Code
    /// For people. Says what is wrong and what would be right; never carries a secret.
    package var message: String
    /// The path of the offending request field, such as `metadata.team`; nil when no single field is at fault.
    package var field: String?
    /// Whole seconds after which trying again makes sense (`Retry-After`).
    package var retryAfterSeconds: Int?

    package init(status: Int, code: Code, message: String, field: String? = nil, retryAfterSeconds: Int? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// What kind of problem, for programs. Stable: a value is added, never renamed.
    package struct Code: Hashable, Sendable, Codable, ExpressibleByStringLiteral, CustomStringConvertible {
        package let rawValue: String
        package init(stringLiteral value: String) { rawValue = value }
        package init(from decoder: any Decoder) throws { rawValue = try String(from: decoder) }
        package func encode(to encoder: any Encoder) throws { try rawValue.encode(to: encoder) }
        package var description: String { rawValue }
    }
}

extension Problem.Code {
    /// 400: not JSON, or a field of the wrong type or value.
    package static let invalidRequest: Self = "invalid_request"
    /// 400: a field that this version cannot honour; refused rather than ignored.
    package static let unsupportedField: Self = "unsupported_field"
    /// 401
    package static let unauthenticated: Self = "unauthenticated"
    /// 403
    package static let forbidden: Self = "forbidden"
    /// 404
    package static let notFound: Self = "not_found"
    /// 405
    package static let methodNotAllowed: Self = "method_not_allowed"
    /// 408
    package static let requestTimeout: Self = "request_timeout"
    /// 409
    package static let conflict: Self = "conflict"
    /// 409: the runtime lacks the ability.
    package static let unsupported: Self = "unsupported"
    /// 413
    package static let tooLarge: Self = "too_large"
    /// 429: as many as there may be.
    package static let quotaExceeded: Self = "quota_exceeded"
    /// 429: more often than may be.
    package static let rateLimited: Self = "rate_limited"
    /// 500
    package static let internalError: Self = "internal"
    /// 501: what this version cannot do at all.
    package static let notImplemented: Self = "not_implemented"
    /// 502
    package static let badGateway: Self = "bad_gateway"
    /// 503
    package static let unavailable: Self = "unavailable"
    /// 504
    package static let gatewayTimeout: Self = "gateway_timeout"
    /// 507: the compute's disk is full.
    package static let diskFull: Self = "disk_full"
}

extension Problem {
    package static func invalid(_ field: String, _ message: String) -> Problem {
        Problem(status: 400, code: .invalidRequest, message: message, field: field)
    }
    package static func notFound(_ message: String) -> Problem {
        Problem(status: 404, code: .notFound, message: message)
    }
    /// Something is at its limit and stays there until some of it is given back. `Retry-After` is there because clients expect one.
    package static func overQuota(_ message: String, field: String? = nil, retryAfterSeconds: Int = 60) -> Problem {
        Problem(
            status: 429, code: .quotaExceeded, message: message, field: field, retryAfterSeconds: retryAfterSeconds)
    }
    /// Passes by itself.
    package static func unavailable(_ message: String, retryAfterSeconds: Int = 1) -> Problem {
        Problem(status: 503, code: .unavailable, message: message, retryAfterSeconds: retryAfterSeconds)
    }

    /// The one error body of the system.
    package func body(requestID: RequestID) -> Body {
        Body(error: message, message: message, code: code, field: field, requestId: requestID.rawValue)
    }

    /// `error` and `message` hold the same text, because the public clients look at one or the other.
    package struct Body: Codable, Sendable, Hashable {
        package var success = false
        package var status = "error"
        package var error: String
        package var message: String
        package var code: Code
        package var field: String?
        package var requestId: String
    }
}
