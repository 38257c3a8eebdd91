package import ComputeCore
package import EventSourcing

/// The read model of webhooks, and what could not be delivered to them.
///
/// The first is written in the transaction of the events; the second is no history and is not rebuilt.
package protocol Webhooks: Sendable {
    /// - Parameter group: whose it must be; nil only inside the system.
    func webhook(_ id: WebhookID, in group: GroupID?) async throws(EventStoreError) -> WebhookSummary?

    /// Oldest first.
    func webhooks(in group: GroupID, limit: Int) async throws(EventStoreError) -> [WebhookSummary]

    /// Those of all groups that are told of events, in order of id, after `id`.
    func activeWebhooks(after id: WebhookID?, limit: Int) async throws(EventStoreError) -> [WebhookSummary]

    /// Those in that state, in order of the event's id, after `eventID`.
    func deliveries(of id: WebhookID, in state: WebhookDelivery.State, after eventID: String?, limit: Int)
        async throws(EventStoreError) -> [WebhookDelivery]

    /// Those whose time has come, the longest due first.
    func dueDeliveries(of id: WebhookID, at now: WallTime, limit: Int) async throws(EventStoreError)
        -> [WebhookDelivery]

    func deliveryCount(of id: WebhookID, in state: WebhookDelivery.State) async throws(EventStoreError) -> Int

    /// Keeps what came of a round. Nothing is kept for a webhook that was deleted meanwhile, nor from one who has lost the
    /// lease: another one is further by now.
    func note(_ progress: WebhookProgress, at now: WallTime) async throws(EventStoreError)

    /// Has dead deliveries tried again at once, from the first attempt on.
    /// - Parameter eventID: nil for all of the webhook's.
    /// - Returns: how many that are.
    func revive(_ id: WebhookID, eventID: String?, at now: WallTime) async throws(EventStoreError) -> Int

    /// Forgets dead deliveries.
    /// - Parameter eventID: nil for all of the webhook's.
    /// - Returns: how many that were.
    func drop(_ id: WebhookID, eventID: String?) async throws(EventStoreError) -> Int
}

/// Sends to webhooks. It decides where may be sent to, at each attempt anew.
package protocol WebhookSender: Sendable {
    /// Why nothing is sent there as things are; nil when it is.
    func refusal(of url: WebhookURL) async -> String?

    /// One attempt, within a deadline of its own.
    /// - Returns: the status that the receiver answered with.
    func send(_ message: WebhookMessage, to url: WebhookURL) async throws(WebhookFailure) -> Int
}

/// What is posted: a JSON body under the headers of the Standard Webhooks specification.
package struct WebhookMessage: Hashable, Sendable {
    /// The same at every attempt, so that a receiver knows what it has already.
    package var id: String
    /// Of this attempt. Signed, so that an old message cannot be played again later.
    package var timestamp: WallTime
    /// `v1,<base64>`, several with spaces between while a secret is being changed.
    package var signature: String
    package var body: [UInt8]

    package init(id: String, timestamp: WallTime, signature: String, body: [UInt8]) {
        self.id = id
        self.timestamp = timestamp
        self.signature = signature
        self.body = body
    }
}
