import ComputeCore
import FoundationEssentials
import JWTKit

/// The public keys of an issuer, by key id. A value: reading and checking, without any fetching.
package struct ExternalKeys: Sendable {
    private let keys: [String: JWK]

    init(keys: [String: JWK]) { self.keys = keys }

    /// Public keys only. Symmetric algorithms are not in it: with one, who knows the public key could sign.
    private static let keyTypes: [String: String] = [
        "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "ES256": "EC", "ES384": "EC", "EdDSA": "OKP",
    ]
    private static let maxKeys = 100
    /// Tokens of others carry lists of groups and the like; what is longer does not fit in a header block anyway.
    private static let maxTokenLength = 16 * 1024
    /// Clocks differ.
    private static let leeway: Duration = .seconds(30)

    // MARK: - Finding

    /// By OpenID Connect Discovery.
    static func discovered(issuer: String, _ source: any DocumentSource) async throws -> ExternalKeys {
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        let metadata = try await source.document(at: base + "/.well-known/openid-configuration")
        let keys = try await source.document(at: try keysURL(in: metadata, issuer: issuer))
        return try ExternalKeys(document: keys)
    }

    /// - Throws: for a document of somebody else: whoever answers there does not speak for this issuer.
    package static func keysURL(in metadata: [UInt8], issuer: String) throws -> String {
        guard case .object(let fields) = try JSONDocument.parse(metadata), fields["issuer"] == .string(issuer),
            case .string(let url)? = fields["jwks_uri"], isFetchable(url)
        else { throw AuthError(.badDocument, "the issuer's metadata do not fit") }
        return url
    }

    /// Encrypted, or within this machine: who can change the keys on their way can be anybody.
    package static func isFetchable(_ url: String) -> Bool {
        guard url.utf8.count <= 2048, url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return false }
        if url.hasPrefix("https://") {
            // What looks like the host before an `@` is none.
            let authority = url.dropFirst(8).prefix { !["/", "?", "#"].contains($0) }
            return !authority.isEmpty && !authority.contains("@")
        }
        return ["http://127.0.0.1", "http://localhost", "http://[::1]"].contains { local in
            url.hasPrefix(local) && [nil, ":", "/"].contains(url.dropFirst(local.count).first)
        }
    }

    package init(document: [UInt8]) throws {
        guard case .object(let fields) = try JSONDocument.parse(document), case .array(let list)? = fields["keys"],
            list.count <= Self.maxKeys
        else { throw AuthError(.badDocument, "not a set of keys") }
        var keys: [String: JWK] = [:]
        for element in list {
            // One by one: a key of a kind that nobody here knows must not cost the others.
            guard case .object(let fields) = element, case .string(let kid)? = fields["kid"],
                fields["use"] == nil || fields["use"] == .string("sig"), fields["d"] == nil,
                let data = try? JSONEncoder().encode(element), let key = try? JSONDecoder().decode(JWK.self, from: data)
            else { continue }
            keys[kid] = key
        }
        self.keys = keys
    }

    // MARK: - Checking

    func verify(
        _ token: String, issuer: String, audience: String, now: WallTime
    ) async throws(TokenRefusal) -> ExternalIdentity {
        guard token.utf8.count <= Self.maxTokenLength else { throw .malformed }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = [UInt8](base64URL: parts[0]),
            case .object(let fields)? = try? JSONDocument.parse(header)
        else { throw .malformed }
        guard case .string(let algorithm)? = fields["alg"], let type = Self.keyTypes[algorithm], fields["crit"] == nil
        else { throw .wrongAlgorithm }
        guard case .string(let kid)? = fields["kid"], var key = keys[kid] else { throw .unknownKey }
        // The key says what it is; a token may only agree.
        guard key.keyType.rawValue == type, let named = JWK.Algorithm(rawValue: algorithm),
            key.algorithm == nil || key.algorithm == named
        else { throw .wrongAlgorithm }
        key.algorithm = named
        let claims: ExternalClaims
        do {
            // A collection of this key alone: one of several falls back to its first key for an unknown kid.
            claims = try await JWTKeyCollection().add(jwk: key).verify(token, as: ExternalClaims.self)
        } catch let error as JWTError where error.errorType == .signatureVerificationFailed {
            throw .badSignature
        } catch {
            throw .malformed
        }
        guard claims.iss == issuer else { throw .wrongIssuer }
        guard claims.aud.names(audience) else { throw .wrongAudience }
        let seconds = Double(now.milliseconds) / 1000
        guard claims.exp > seconds else { throw .expired }
        let early = [claims.nbf, claims.iat].compactMap(\.self).contains {
            $0 > seconds + Double(Self.leeway.components.seconds)
        }
        // Also false for what is no number.
        guard !early, claims.exp < 1e11 else { throw .expired }
        guard (1...255).contains(claims.sub.utf8.count),
            claims.sub.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else { throw .malformed }
        return ExternalIdentity(
            issuer: issuer, subject: claims.sub, expiresAt: WallTime(milliseconds: Int64(claims.exp * 1000)))
    }
}

/// What is looked at of somebody else's token. Times may have fractions there.
private struct ExternalClaims: JWTPayload {
    /// One audience, or several.
    enum Audience: Codable {
        case one(String)
        case several([String])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let one = try? container.decode(String.self) {
                self = .one(one)
            } else {
                self = .several(try container.decode([String].self))
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .one(let one): try container.encode(one)
            case .several(let several): try container.encode(several)
            }
        }

        func names(_ audience: String) -> Bool {
            switch self {
            case .one(let one): one == audience
            case .several(let several): several.contains(audience)
            }
        }
    }

    var iss: String
    var sub: String
    var aud: Audience
    var exp: Double
    var nbf: Double?
    var iat: Double?

    func verify(using algorithm: some JWTAlgorithm) async throws {}
}
