package import Auth
package import ComputeCore
package import ComputeDomain
package import ComputeRuntime
package import Crypto
package import EventSourcing
package import SidekickProtocol

/// Everything that the API stands on. Services see ports; Composition says what is behind them.
package struct APIPorts: Sendable {
    package var store: any EventStore
    package var summaries: any ComputeSummaries
    package var sessions: any SessionSummaries
    package var access: any AccessRecords
    package var runtime: any ComputeRuntime
    package var sidekicks: any SidekickAgent
    package var clock: any WallClock
    package var tokens: TokenSigner
    /// Where its keys are kept; nil: they never change.
    package var signingKeys: (any SigningKeyStore)?
    /// Whom people sign in with; nil: only keys are accepted.
    package var issuer: ExternalIssuer?
    /// What the secret of every Sidekick is derived from; the Gateway has the same.
    package var sidekickKey: SymmetricKey
    package var webhooks: WebhookPorts
    package var secrets: SecretPorts
    package var filesystems: any FilesystemRecords
    package var templates: any TemplateRecords
    package var pools: any PoolRecords
    package var usage: any UsageRecords

    package init(
        store: any EventStore, summaries: any ComputeSummaries, sessions: any SessionSummaries,
        access: any AccessRecords, runtime: any ComputeRuntime, sidekicks: any SidekickAgent, clock: any WallClock,
        tokens: TokenSigner, sidekickKey: SymmetricKey, webhooks: WebhookPorts, secrets: SecretPorts,
        filesystems: any FilesystemRecords, templates: any TemplateRecords, pools: any PoolRecords,
        usage: any UsageRecords
    ) {
        self.store = store
        self.summaries = summaries
        self.sessions = sessions
        self.access = access
        self.runtime = runtime
        self.sidekicks = sidekicks
        self.clock = clock
        self.tokens = tokens
        self.sidekickKey = sidekickKey
        self.webhooks = webhooks
        self.secrets = secrets
        self.filesystems = filesystems
        self.templates = templates
        self.pools = pools
        self.usage = usage
    }
}

/// On whose behalf something is done.
package struct Caller: Hashable, Sendable {
    package var group: GroupID
    /// Goes into every event that comes of it.
    package var metadata: EventMetadata
    /// What he may. Looked at where a route asks for it, and where he hands out power of his own.
    package var authority: Authority
    /// The key, session or member that he came as; nil for who came with a token of one compute.
    package var credential: AccessRecord.ID?
    /// The member behind it, if one is.
    package var member: String?
    /// Of a key: which of its secrets he showed.
    package var secret: Int?
    /// The credential and all that it stands on: tokens that he gets say so, and end with any of them.
    package var origins: [String] = []
    /// When the credential itself is over.
    package var expiresAt: WallTime?

    /// What a change of who may do what is made on: whoever loses his credential meanwhile changes nothing with it. nil for
    /// who came with a token of one compute.
    package var standing: Standing? {
        credential.map { Standing(group: group, credential: $0.description, origins: origins, secret: secret) }
    }

    /// Without power of his own, unless it is said.
    package init(
        group: GroupID, metadata: EventMetadata, authority: Authority = Authority(role: .viewer, scopes: []),
        credential: AccessRecord.ID? = nil, member: String? = nil
    ) {
        self.group = group
        self.metadata = metadata
        self.authority = authority
        self.credential = credential
        self.member = member
    }

    package init(_ bearer: Bearer, metadata: EventMetadata) {
        self.init(
            group: bearer.group, metadata: metadata, authority: bearer.authority, credential: bearer.credential,
            member: bearer.member)
        secret = bearer.secret
        origins = bearer.origins.map(\.text)
        expiresAt = bearer.expiresAt
    }
}
