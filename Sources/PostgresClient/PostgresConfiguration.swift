import CPostgres

/// Where a server is, and how long anything with it may take.
package struct PostgresConfiguration: Sendable {
    /// libpq's keywords, in order: a later one wins.
    var keywords: [(name: String, value: String)]
    package var applicationName = "computesdk"
    /// How long one piece of work may take in all: waiting for a connection, making it, every statement.
    package var deadline: Duration = .seconds(5)
    /// How long making a connection may take, with asking for the host's addresses.
    package var connectDeadline: Duration = .seconds(4)
    /// What one attempt of a pool may take: something is left for the work.
    var wholeConnectDeadline: Duration { min(connectDeadline, deadline * 4 / 5) }
    /// How many connections there are at most, each with a thread of its own. Commits wait for the server's disk
    /// rather than for a processor, so there are more of them than processors.
    package var connections = 10
    package var lookup = HostLookup.system

    /// - Parameter url: `postgres://user:password@host:port/database?sslmode=…`, as libpq understands it.
    /// - Returns: nil for what libpq cannot read, and for a `service`. It does not say why, because the reason may quote a
    ///   password.
    package init?(url: String) {
        guard url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") else { return nil }
        guard let options = PQconninfoParse(url, nil) else { return nil }
        keywords = Self.keywords(owning: options)
        // libpq would read the host from a file of services only while it connects, and resolve it past every deadline.
        guard !keywords.contains(where: { $0.name == "service" }) else { return nil }
    }

    /// - Parameter host: a name, an address, or the folder of a Unix socket. What is nil has libpq's default.
    package init(host: String?, port: Int?, user: String?, password: String?, database: String?) {
        keywords = [
            ("host", host), ("port", port.map { "\($0)" }), ("user", user), ("password", password),
            ("dbname", database),
        ].compactMap { name, value in value.map { (name, $0) } }
    }

    /// After how many seconds of silence the kernel asks whether a peer is there, how often, and when it gives it up: so a
    /// dead one is found out within half a minute, also while we only listen.
    private static let (idle, interval, count, patience) = (10, 5, 3, 15)

    /// What libpq is given.
    var connectKeywords: [(name: String, value: String)] {
        [
            ("fallback_application_name", applicationName), ("keepalives", "1"),
            ("keepalives_idle", "\(Self.idle)"), ("keepalives_interval", "\(Self.interval)"),
            ("keepalives_count", "\(Self.count)"), ("tcp_user_timeout", "\(Self.patience)000"),
        ] + keywords + [("client_encoding", "UTF8")]
    }

    /// Set on every connection. The server ends a statement a little before we would give up on it, so that the usual
    /// slow one costs an answer and not a connection. A process of ours that stops within a transaction holds up the
    /// readers of everybody; the server ends that, too. When our machine is gone the server has to find that out by itself,
    /// or it keeps our locks for hours; on a Unix socket that means nothing. A commit that is acknowledged is on disk,
    /// whatever the role's default says.
    func sessionScript() -> String {
        let statement = max(deadline.milliseconds * 9 / 10, 1)
        return """
            SET statement_timeout = \(statement);
            SET idle_in_transaction_session_timeout = \(max(deadline.milliseconds, 1));
            SET tcp_keepalives_idle = \(Self.idle);
            SET tcp_keepalives_interval = \(Self.interval);
            SET tcp_keepalives_count = \(Self.count);
            SET tcp_user_timeout = \(Self.patience * 1000);
            SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
            """
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
