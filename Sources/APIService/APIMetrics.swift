import Metrics

/// What the API measures. Dimensions are closed sets: routes are patterns, and nothing is named after a group or compute.
package enum APIMetrics {
    package static let helps = [
        requests: "Requests that were answered, by route and status.",
        duration: "From a request's head to its answer's, by route.",
        places: "Places for computes: out of the pool, started for one, or not to be had.",
        stage: "What a create spends its time with.",
        ends: "Computes that ended, by reason.",
        poolCreates:
            "Creates that a pool of their group is for: hit where a member waited and took it, miss where none waited.",
        deliveries: "Attempts to tell a webhook of an event, by outcome.",
    ]

    private static let requests = "computesdk_api_requests_total"
    private static let duration = "computesdk_api_request_duration_seconds"
    private static let places = "computesdk_api_places_total"
    private static let stage = "computesdk_api_create_stage_duration_seconds"
    private static let ends = "computesdk_api_computes_ended_total"
    private static let poolCreates = "computesdk_api_group_pool_creates_total"
    private static let deliveries = "computesdk_api_webhook_attempts_total"

    /// - Parameter route: its pattern; what does not begin like one is none, and its method is anybody's word.
    static func answered(method: String, route: String?, status: Int, in duration: Duration) {
        let (method, route) = route.flatMap { $0.hasPrefix("/") ? (method, $0) : nil } ?? ("-", "-")
        Counter(label: requests, dimensions: [("method", method), ("route", route), ("status", "\(status)")])
            .increment()
        Timer(label: Self.duration, dimensions: [("method", method), ("route", route)]).record(duration: duration)
    }

    enum Source: String { case pool, cold, none }

    static func placed(from source: Source) {
        Counter(label: places, dimensions: [("source", source.rawValue)]).increment()
    }

    /// - Parameter isHit: a member waited, and the create is in it.
    static func asked(aPool isHit: Bool) {
        Counter(label: poolCreates, dimensions: [("outcome", isHit ? "hit" : "miss")]).increment()
    }

    static func spent(_ duration: Duration, on stage: ServerTiming.Stage) {
        Timer(label: Self.stage, dimensions: [("stage", stage.rawValue)]).record(duration: duration)
    }

    static func ended(reason: String) { Counter(label: ends, dimensions: [("reason", reason)]).increment() }

    static func attempted(delivery outcome: String) {
        Counter(label: deliveries, dimensions: [("outcome", outcome)]).increment()
    }
}
