package import ComputeCore

/// The checked body of `POST /auth/session_tokens`.
package struct CreateSession: Hashable, Sendable {
    package static let defaultLifetime: Duration = .seconds(604_800)
    /// A year: the compute itself ends earlier unless somebody keeps extending it.
    package static let lifetimeRange: ClosedRange<Int64> = 1...31_536_000
    package static let longestLifetime: Duration = .seconds(lifetimeRange.upperBound)
    package static let maxDescriptionBytes = 1024

    package var description: String?
    package var lifetime: Duration

    package init(description: String? = nil, lifetime: Duration = defaultLifetime) {
        self.description = description
        self.lifetime = lifetime
    }

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        description = try fields.string("description")
        if let description, description.utf8.count > Self.maxDescriptionBytes {
            throw .invalid("description", "description must have at most \(Self.maxDescriptionBytes) bytes")
        }
        // One client spells it the one way, one the other.
        var seconds = try fields.integer("expiresIn", in: Self.lifetimeRange)
        if seconds == nil { seconds = try fields.integer("expires_in", in: Self.lifetimeRange) }
        lifetime = seconds.map { .seconds($0) } ?? Self.defaultLifetime
    }
}

/// A session token in answers: each field in both spellings, because clients read either.
package struct SessionView: Hashable, Sendable {
    package var id: SessionID
    /// Only where it was just made.
    package var token: String?
    package var description: String?
    package var createdAt: WallTime
    package var expiresAt: WallTime
    package var lastUsedAt: WallTime?

    package init(
        id: SessionID, token: String?, description: String?, createdAt: WallTime, expiresAt: WallTime,
        lastUsedAt: WallTime?
    ) {
        self.id = id
        self.token = token
        self.description = description
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.lastUsedAt = lastUsedAt
    }

    package var fields: [String: JSONValue] {
        var fields: [String: JSONValue] = ["id": .string(id.rawValue)]
        fields["token"] = token.map(JSONValue.string)
        fields["description"] = description.map(JSONValue.string)
        func both(_ camel: String, _ snake: String, _ value: JSONValue?) {
            fields[camel] = value
            fields[snake] = value
        }
        both("createdAt", "created_at", .string(createdAt.rfc3339))
        both("expiresAt", "expires_at", .string(expiresAt.rfc3339))
        both("lastUsedAt", "last_used_at", lastUsedAt.map { .string($0.rfc3339) })
        both("expiresIn", "expires_in", .int((expiresAt - createdAt).components.seconds))
        return fields
    }
}

/// The checked body of `POST /auth/magic-links`.
package struct CreateMagicLink: Hashable, Sendable {
    package static let lifetime: Duration = .seconds(300)
    package static let defaultRedirect = "/play/"
    package static let maxRedirectBytes = 2048

    /// A path on the same host, with its query and fragment if any.
    package var redirect: String

    package init(redirect: String = defaultRedirect) { self.redirect = redirect }

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        let name = fields.value("redirectUrl") == nil ? "redirect_url" : "redirectUrl"
        redirect = try fields.string(name) ?? Self.defaultRedirect
        guard Self.isSiteRelative(redirect) else {
            throw .invalid(
                name,
                "\(name) must be a path on the sandbox's host: a single / first, no . or .. in it, no backslash, only "
                    + "visible ASCII, at most \(Self.maxRedirectBytes) bytes")
        }
    }

    /// Browsers read `//host` and `/\host` as another host, and drop tabs and newlines before they look. Dot segments
    /// would lead out of `/s/<id>/`, where all computes share one host.
    package static func isSiteRelative(_ path: String) -> Bool {
        guard path.utf8.count <= maxRedirectBytes, path.utf8.first == UInt8(ascii: "/"),
            path.utf8.dropFirst().first != UInt8(ascii: "/"),
            path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") })
        else { return false }
        let end = path.utf8.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? path.endIndex
        return !path[..<end].split(separator: "/").contains { segment in
            [".", ".."].contains(segment.lowercased().replacing("%2e", with: "."))
        }
    }
}

/// What the Gateway needs to know of a session token, or of a credential of the API that access tokens came of:
/// `GET /internal/v1/sessions/{id}`, and every revocation in the feed. Their ids are of one shape and never the same.
package struct SessionRecord: Codable, Hashable, Sendable {
    package var sessionId: SessionID
    /// nil: of all computes; a credential of the API.
    package var computeId: ComputeID?
    package var isRevoked: Bool
    /// From then on nobody has to remember it.
    package var expiresAt: WallTime

    package init(sessionId: SessionID, computeId: ComputeID?, isRevoked: Bool, expiresAt: WallTime) {
        self.sessionId = sessionId
        self.computeId = computeId
        self.isRevoked = isRevoked
        self.expiresAt = expiresAt
    }
}

/// The body of `POST /internal/v1/sessions/uses`: which sessions a Gateway saw since it said so last.
package struct SessionUses: Codable, Hashable, Sendable {
    package static let maxCount = 1000

    package struct Use: Codable, Hashable, Sendable {
        package var sessionId: SessionID
        package var at: WallTime
        package init(sessionId: SessionID, at: WallTime) {
            self.sessionId = sessionId
            self.at = at
        }
    }
    package var uses: [Use]
    package init(uses: [Use]) { self.uses = uses }
}

/// What a Gateway says to the API about a request to `/auth/*` of a compute, and what it hears back.
package enum AuthHeader {
    /// Which compute's host the request came to.
    package static let computeID = "X-Compute-Id"
    /// With the answer to a revocation, for the Gateway alone: `<session id> <expiry, ms since 1970>`. So a client
    /// that was told of its revocation is never served again, however late the feed.
    package static let revoked = "X-Compute-Session-Revoked"

    package static func revoked(_ id: SessionID, until expiresAt: WallTime) -> String {
        "\(id) \(expiresAt.milliseconds)"
    }

    package static func revoked(in value: String) -> (id: SessionID, expiresAt: WallTime)? {
        let parts = value.split(separator: " ")
        guard parts.count == 2, let id = SessionID(parts[0]), let milliseconds = Int64(parts[1]) else { return nil }
        return (id, WallTime(milliseconds: milliseconds))
    }
}
