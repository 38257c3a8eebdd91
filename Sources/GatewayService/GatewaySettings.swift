package import ComputeCore

/// What an operator may choose about a Gateway.
package struct GatewaySettings: Sendable {
    /// Where clients connect. Port 0: any free port.
    package var listen: Endpoint
    /// The API's public side.
    package var api: Endpoint
    /// The API's internal side: feed, routes, keys. Never routed to.
    package var internalAPI: Endpoint
    /// Computes are `<id>.<domain>`.
    package var domain: String
    /// The scheme in clients' addresses: `https` when something before the Gateway ends TLS.
    package var publicScheme: Scheme
    /// How long a request waits for a compute that is starting, before 503.
    package var startingLimit: Duration
    /// How long an upstream may take to begin its answer once the request has been sent, before 504.
    package var headerTimeout: Duration
    package var dialTimeout: Duration
    /// How long one request of the event feed stays open without news.
    package var feedWait: Duration
    /// How long requests under way may take to finish at shutdown.
    package var drainLimit: Duration
    /// Whether a client's `traceparent` is believed: something of the operator's own stands before us.
    package var trustsTraces = false

    package enum Scheme: String, Sendable { case http, https }

    package init(
        listen: Endpoint, api: Endpoint, internalAPI: Endpoint, domain: String = "localhost",
        publicScheme: Scheme = .http, startingLimit: Duration = .seconds(10), headerTimeout: Duration = .seconds(300),
        dialTimeout: Duration = .seconds(5), feedWait: Duration = .seconds(20), drainLimit: Duration = .seconds(10)
    ) {
        self.listen = listen
        self.api = api
        self.internalAPI = internalAPI
        self.domain = domain
        self.publicScheme = publicScheme
        self.startingLimit = startingLimit
        self.headerTimeout = headerTimeout
        self.dialTimeout = dialTimeout
        self.feedWait = feedWait
        self.drainLimit = drainLimit
    }
}
