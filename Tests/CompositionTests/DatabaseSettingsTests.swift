import Composition
import ServiceHost
import Testing

struct DatabaseSettingsTests {
    private func database(_ environment: [String: String], flags: [String: String] = [:]) throws -> DatabaseSettings {
        try ServiceSettings(
            flags: flags, environment: environment.merging(["HOME": "/home/somebody"]) { given, _ in given },
            executableDirectory: "/opt/bin"
        ).database
    }

    private func isPostgres(_ settings: DatabaseSettings) -> Bool {
        if case .postgres = settings { true } else { false }
    }

    @Test func aFileIsTheDefault() throws {
        #expect(!isPostgres(try database([:])))
        #expect(!isPostgres(try database(["POSTGRES_HOST": "db"])), "what lies about in an environment decides nothing")
        #expect(!isPostgres(try database(["DATABASE_TYPE": "sqlite", "DATABASE_URL": "mysql://x"])))
    }

    @Test(arguments: [
        ["DATABASE_URL": "postgres://u:p@h:1/d?sslmode=verify-full"],
        ["COMPUTESDK_DATABASE_URL": "postgresql:///d?host=/run/postgresql"],
        ["DATABASE_TYPE": "postgres", "POSTGRES_HOST": "db"],
        ["COMPUTESDK_DATABASE_TYPE": "postgres", "DATABASE_TYPE": "sqlite", "POSTGRES_HOST": "db"],
        ["DATABASE_TYPE": "postgres", "POSTGRES_HOST": "db", "POSTGRES_PORT": "tcp://10.0.0.1:5432"],
    ])
    func postgresIsChosenByTypeOrURL(_ environment: [String: String]) throws {
        #expect(isPostgres(try database(environment)))
    }

    @Test(arguments: [
        (["DATABASE_TYPE": "mysql"], "COMPUTESDK_DATABASE_TYPE or DATABASE_TYPE (--database-type)"),
        (["DATABASE_URL": "mysql://h/d"], "COMPUTESDK_DATABASE_URL or DATABASE_URL (--database-url)"),
        (["DATABASE_URL": "postgres://u:sec%ret@h/d"], "COMPUTESDK_DATABASE_URL or DATABASE_URL (--database-url)"),
        (["DATABASE_URL": "postgres://h/d?service=x"], "COMPUTESDK_DATABASE_URL or DATABASE_URL (--database-url)"),
        (["DATABASE_TYPE": "postgres"], "COMPUTESDK_POSTGRES_HOST or POSTGRES_HOST (--postgres-host)"),
        (
            ["DATABASE_TYPE": "postgres", "POSTGRES_HOST": "db", "POSTGRES_PORT": "0"],
            "COMPUTESDK_POSTGRES_PORT or POSTGRES_PORT (--postgres-port)"
        ),
    ])
    func aBadValueNamesItsSettingAndNoPassword(_ environment: [String: String], _ words: String) {
        let error = #expect(throws: SettingError.self) { try database(environment) }
        #expect(error?.description.hasPrefix(words) == true, "\(String(describing: error))")
        #expect(error?.description.contains("sec%ret") == false)
    }
}
