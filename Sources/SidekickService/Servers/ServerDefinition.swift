/// What a supervised server is, as its creator asked for it; kept on disk.
package struct ServerDefinition: Codable, Hashable, Sendable {
    package enum RestartPolicy: String, Codable, CaseIterable, Sendable {
        case never
        case onFailure = "on-failure"
        case always
    }

    package struct HealthCheck: Codable, Hashable, Sendable {
        package var path = "/"
        package var intervalMilliseconds = 2000
        package var timeoutMilliseconds = 1500
        package var delayMilliseconds = 5000

        package init() {}
    }

    package var slug: String
    package var start: String
    /// Run once, to its end, before the first start.
    package var install: String?
    /// Absolute.
    package var directory: String
    /// As it was asked for.
    package var originalPath: String?
    package var envFile: String?
    /// Wins over what is in `envFile`.
    package var environment: [String: String] = [:]
    package var port: Int?
    package var strictPort = false
    /// Started again when the Sidekick is.
    package var autostart = true
    /// Slugs of servers and ids of overlays.
    package var dependsOn: [String] = []
    package var restartPolicy = RestartPolicy.never
    /// 0: no limit.
    package var maxRestarts = 0
    package var restartDelayMilliseconds = 1000
    package var stopTimeoutMilliseconds = 10_000
    package var healthCheck: HealthCheck?

    package init(slug: String, start: String, directory: String) {
        self.slug = slug
        self.start = start
        self.directory = directory
    }

    /// Whether it can be told that it is of use: by its port, or by its answers. Else running is all that is known.
    package var showsReadiness: Bool { port != nil || healthCheck != nil }
}
