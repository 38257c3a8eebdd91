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
    package var runtime: any ComputeRuntime
    package var sidekicks: any SidekickAgent
    package var clock: any WallClock
    package var tokens: TokenSigner
    /// What the secret of every Sidekick is derived from; the Gateway has the same.
    package var sidekickKey: SymmetricKey

    package init(
        store: any EventStore, summaries: any ComputeSummaries, sessions: any SessionSummaries,
        runtime: any ComputeRuntime, sidekicks: any SidekickAgent, clock: any WallClock, tokens: TokenSigner,
        sidekickKey: SymmetricKey
    ) {
        self.store = store
        self.summaries = summaries
        self.sessions = sessions
        self.runtime = runtime
        self.sidekicks = sidekicks
        self.clock = clock
        self.tokens = tokens
        self.sidekickKey = sidekickKey
    }
}

/// On whose behalf something is done.
package struct Caller: Hashable, Sendable {
    package var group: GroupID
    /// Goes into every event that comes of it.
    package var metadata: EventMetadata

    package init(group: GroupID, metadata: EventMetadata) {
        self.group = group
        self.metadata = metadata
    }
}
