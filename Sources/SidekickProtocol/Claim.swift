package import ComputeCore

/// Everything personal that turns an idle member into somebody's compute, in one POST to
/// `/internal/claim` on the Sidekick's internal listener.
///
/// The Sidekick records it on disk before it answers, and then refuses any other id: the same id and body
/// again is 200, anything else 409. So several API replicas may race without a lock.
package struct ClaimOrder: Codable, Hashable, Sendable {
    package var computeId: ComputeID
    package var generation: Generation
    /// What API and Gateway show on every later request; see `SidekickSecret`.
    package var secret: String
    package var env: [String: String]
    /// The working directory; made if missing. nil: the user's home.
    package var directory: String?
    /// The Sidekick's public base URL, without a trailing slash.
    package var url: String
    /// The URL of a port, with `{port}` in it; nil where ports have no URL.
    package var portURLTemplate: String?
    /// What is done right after the claim: `{"overlays":[…],"servers":[…]}`, each as in a create of one.
    package var setup: JSONValue?
    /// How long the compute was given to live, in milliseconds, for its clients to see. Nothing here ends it.
    package var timeoutMs: Int64?
    /// Written before the claim is answered, and not recorded with it.
    package var secretFiles: [SecretFile]?
    /// Which of `env` are secrets: given anew at each start, and not kept on the disk.
    package var secretEnv: [String]?
    /// The compute had a place before, on this disk: what was kept there of its first order holds beneath this one, and
    /// what it supervised goes on.
    package var goesOn: Bool?

    package init(
        computeId: ComputeID, generation: Generation, secret: String, env: [String: String], directory: String?,
        url: String, portURLTemplate: String?, setup: JSONValue? = nil, timeoutMs: Int64? = nil,
        secretFiles: [SecretFile]? = nil
    ) {
        self.computeId = computeId
        self.generation = generation
        self.secret = secret
        self.env = env
        self.directory = directory
        self.url = url
        self.portURLTemplate = portURLTemplate
        self.setup = setup
        self.timeoutMs = timeoutMs
        self.secretFiles = secretFiles
    }
}

/// A secret that a compute gets as a file of its user's.
package struct SecretFile: Codable, Hashable, Sendable {
    /// Absolute. Parents that are missing are made, and what is there is replaced.
    package var path: String
    /// The permission bits.
    package var mode: Int
    /// In base64url.
    package var content: String

    package init(path: String, mode: Int, content: [UInt8]) {
        self.path = path
        self.mode = mode
        self.content = content.base64URL
    }

    package static let maxCount = 32
    /// All of an order's together: a claim is one small POST.
    package static let maxBytes = 1 << 20
}

/// What a Sidekick says about itself on `GET /internal/state`.
package struct SidekickState: Codable, Hashable, Sendable {
    package var member: MemberName
    /// nil while idle.
    package var computeId: ComputeID?
    package var generation: Generation?
    package var version: String

    package init(member: MemberName, computeId: ComputeID?, generation: Generation?, version: String) {
        self.member = member
        self.computeId = computeId
        self.generation = generation
        self.version = version
    }
}

/// The API's way to speak to a Sidekick's internal listener.
package protocol SidekickAgent: Sendable {
    /// Claims the member. Repeating the same order is safe.
    func claim(_ member: MemberName, at endpoint: Endpoint, order: ClaimOrder) async throws(SidekickAgentError)
    func state(at endpoint: Endpoint) async throws(SidekickAgentError) -> SidekickState
}

package struct SidekickAgentError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// Another compute has it. Take another member.
        case alreadyClaimed
        /// It said no: a bad credential or body. Do not repeat.
        case refused
        /// No answer: it may or may not have taken the claim.
        case noAnswer
    }
    package var code: Code
    package var message: String
    /// The field of the order that it did not like.
    package var field: String?
    package init(_ code: Code, _ message: String, field: String? = nil) {
        self.code = code
        self.message = message
        self.field = field
    }
    package var description: String { "\(code): \(message)" }
}
