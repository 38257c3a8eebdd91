/// What a key or a signature cannot be made of. Why a token is refused is a `TokenRefusal`.
package struct AuthError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// The bytes are not an Ed25519 key.
        case badKey
        case signingFailed
        /// What an issuer publishes is not what it should be.
        case badDocument
    }
    package var code: Code
    package var message: String
    package var cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { "\(code): \(message)\(cause.map { " (\($0))" } ?? "")" }
}

/// Why a token is not accepted. For logs and metrics: the bearer learns only that it was not.
package enum TokenRefusal: String, Error, Hashable, Sendable, CaseIterable {
    /// Not three parts of base64url JSON, or a claim is missing or of the wrong type.
    case malformed
    /// Signed by another algorithm than EdDSA, or by none, or with critical extensions.
    case wrongAlgorithm
    /// Signed by a key that is not, or no longer, ours.
    case unknownKey
    case badSignature
    case wrongIssuer
    /// Made for somebody else.
    case wrongAudience
    case expired
}
