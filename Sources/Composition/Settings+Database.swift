package import PostgresClient
package import ServiceHost

package enum DatabaseType: String, CaseIterable, Sendable { case sqlite, postgres }

/// Where the events are.
package enum DatabaseSettings: Sendable {
    /// A file in the data folder.
    case sqlite
    case postgres(PostgresConfiguration)
}

extension Settings {
    package static let databaseType = Setting(
        "database-type", fallback: "sqlite, or postgres when a URL is set", alias: "DATABASE_TYPE",
        "sqlite, a file in the data folder; or postgres, which several instances can share.")
    package static let databaseURL = Setting(
        "database-url", isSecret: true, alias: "DATABASE_URL",
        "postgres://user:password@host:port/database?sslmode=…, instead of the single settings.")
    package static let postgresHost = Setting(
        "postgres-host", alias: "POSTGRES_HOST", "A name, an address, or the folder of a Unix socket.")
    package static let postgresPort = Setting("postgres-port", fallback: "5432", alias: "POSTGRES_PORT", "Its port.")
    package static let postgresUser = Setting(
        "postgres-user", fallback: "computesdk", alias: "POSTGRES_USER", "Whom the database knows us as.")
    package static let postgresPassword = Setting(
        "postgres-password", isSecret: true, alias: "POSTGRES_PASSWORD", "That user's password.")
    package static let postgresDatabase = Setting(
        "postgres-database", fallback: "computesdk", alias: "POSTGRES_DATABASE", "The name of the database.")
    package static let migrateOnStart = Setting(
        "migrate-on-start", fallback: "true",
        "false: a start refuses a PostgreSQL database whose schema is old; `api migrate` brings it up to date.")

    static let database = [
        databaseType, databaseURL, postgresHost, postgresPort, postgresUser, postgresPassword, postgresDatabase,
        migrateOnStart,
    ]
}

extension DatabaseSettings {
    init(_ reader: SettingsReader) throws(SettingError) {
        let url = reader.string(Settings.databaseURL)
        let type = try reader.choice(Settings.databaseType, DatabaseType.self) ?? (url == nil ? .sqlite : .postgres)
        guard type == .postgres else {
            self = .sqlite
            return
        }
        if let url {
            // What is wrong with it is not said: it may be the password.
            guard let configuration = PostgresConfiguration(url: url) else {
                throw reader.error(
                    Settings.databaseURL,
                    """
                    must be postgres://user:password@host:port/database, with special characters percent-encoded and \
                    without service=
                    """)
            }
            self = .postgres(configuration)
            return
        }
        guard let host = reader.string(Settings.postgresHost) else {
            throw reader.error(Settings.postgresHost, "must be set for postgres, or the database URL instead")
        }
        self = .postgres(
            PostgresConfiguration(
                host: host, port: try Self.port(reader),
                user: reader.string(Settings.postgresUser) ?? "computesdk",
                password: reader.string(Settings.postgresPassword),
                database: reader.string(Settings.postgresDatabase) ?? "computesdk"))
    }

    private static func port(_ reader: SettingsReader) throws(SettingError) -> Int {
        guard let text = reader.string(Settings.postgresPort) else { return 5432 }
        // Kubernetes sets the variable to `tcp://10.0.0.1:5432` beside a service that is called postgres.
        let number =
            text.hasPrefix("tcp://") ? text[(text.lastIndex(of: ":") ?? text.startIndex)...].dropFirst() : text[...]
        guard let port = Int(number), (1...65535).contains(port) else {
            throw reader.error(Settings.postgresPort, "must be a whole number from 1 to 65535")
        }
        return port
    }
}
