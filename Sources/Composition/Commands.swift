package import ArgumentParser
import Foundation
import ServiceHost
import UnixSignals

/// `computesdk`: the embedded default and, later, the command line client.
package struct ComputeSDKCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "computesdk", abstract: "Isolated compute for code that nobody has vetted.",
        version: Version.current, subcommands: [ServeCommand.self, ImageCommand.self])
    package init() {}
}

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "API, Gateway and local runtime in one process.")
    @OptionGroup var flags: SettingFlags

    func run() async throws { try await start(flags) { try await serve($0, until: $1) } }
}

/// `api`: the API alone, with its runtime.
package struct APICommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "api", abstract: "The API and the runtime it owns.", version: Version.current,
        subcommands: [MigrateCommand.self, RebuildCommand.self, ExportCommand.self, RetainCommand.self])
    @OptionGroup var flags: SettingFlags
    package init() {}

    package func run() async throws { try await start(flags) { try await runAPI($0, until: $1) } }
}

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Brings the database's schema up to date and ends.")
    @OptionGroup var flags: SettingFlags

    func run() async throws {
        try await start(flags) { settings, _ in print(try await migrate(settings, logger: makeLogger("api", settings)))
        }
    }
}

/// `gateway`: the Gateway alone, beside an API.
package struct GatewayCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "gateway", abstract: "The single entry point: proxies to the API and to every compute.",
        version: Version.current)
    @OptionGroup var flags: SettingFlags
    package init() {}

    package func run() async throws { try await start(flags) { try await runGateway($0, until: $1) } }
}

/// Every setting as a flag. The names are the table's; `values` maps them back to it.
package struct SettingFlags: ParsableArguments {
    package init() {}

    @Option(help: help(Settings.listen)) var listen: String?
    @Option(help: help(Settings.dataDir)) var dataDir: String?
    @Option(help: help(Settings.apiKey)) var apiKey: String?
    @Option(help: help(Settings.domain)) var domain: String?
    @Option(help: help(Settings.urlStyle)) var urlStyle: String?
    @Option(help: help(Settings.poolSize)) var poolSize: String?
    @Option(help: help(Settings.isolation)) var isolation: String?
    @Option(help: help(Settings.runsc)) var runsc: String?
    @Option(help: help(Settings.runscPlatform)) var runscPlatform: String?
    @Option(help: help(Settings.image)) var image: String?
    @Option(help: help(Settings.imageDir)) var imageDir: String?
    @Option(help: help(Settings.memoryMiB)) var memoryMib: String?
    @Option(help: help(Settings.cpus)) var cpus: String?
    @Option(help: help(Settings.diskMiB)) var diskMib: String?
    @Option(help: help(Settings.maxProcesses)) var maxProcesses: String?
    @Option(help: help(Settings.maxMemoryMiB)) var maxMemoryMib: String?
    @Option(help: help(Settings.maxCPUs)) var maxCpus: String?
    @Option(help: help(Settings.maxDiskMiB)) var maxDiskMib: String?
    @Option(help: help(Settings.internet)) var internet: String?
    @Option(help: help(Settings.dns)) var dns: String?
    @Option(help: help(Settings.subnet)) var subnet: String?
    @Option(help: help(Settings.logLevel)) var logLevel: String?
    @Option(help: help(Settings.stoppedDays)) var stoppedDays: String?
    @Option(help: help(Settings.maxStoppedDays)) var maxStoppedDays: String?
    @Option(help: help(Settings.maxComputes)) var maxComputes: String?
    @Option(help: help(Settings.rateLimit)) var rateLimit: String?
    @Option(help: help(Settings.rateLimitAddress)) var rateLimitAddress: String?
    @Option(help: help(Settings.maxGroupCPUs)) var maxGroupCpus: String?
    @Option(help: help(Settings.maxGroupMemoryMiB)) var maxGroupMemoryMib: String?
    @Option(help: help(Settings.maxGroupStorageMiB)) var maxGroupStorageMib: String?
    @Option(help: help(Settings.maxCreatesPerMinute)) var maxCreatesPerMinute: String?
    @Option(help: help(Settings.maxPoolMembers)) var maxPoolMembers: String?
    @Option(help: help(Settings.maxPools)) var maxPools: String?
    @Option(help: help(Settings.maxFilesystems)) var maxFilesystems: String?
    @Option(help: help(Settings.maxFilesystemsMiB)) var maxFilesystemsMib: String?
    @Option(help: help(Settings.maxTemplates)) var maxTemplates: String?
    @Option(help: help(Settings.keepOnShutdown)) var keepOnShutdown: String?
    @Option(help: help(Settings.sidekick)) var sidekick: String?
    @Option(help: help(Settings.apiEndpoint)) var apiEndpoint: String?
    @Option(help: help(Settings.internalEndpoint)) var internalEndpoint: String?
    @Option(help: help(Settings.webhookNetworks)) var webhookNetworks: String?
    @Option(help: help(Settings.metricsListen)) var metricsListen: String?
    @Option(help: help(Settings.trustTraceparent)) var trustTraceparent: String?
    @Option(help: help(Settings.databaseType)) var databaseType: String?
    @Option(help: help(Settings.databaseURL)) var databaseUrl: String?
    @Option(help: help(Settings.postgresHost)) var postgresHost: String?
    @Option(help: help(Settings.postgresPort)) var postgresPort: String?
    @Option(help: help(Settings.postgresUser)) var postgresUser: String?
    @Option(help: help(Settings.postgresPassword)) var postgresPassword: String?
    @Option(help: help(Settings.postgresDatabase)) var postgresDatabase: String?
    @Option(help: help(Settings.migrateOnStart)) var migrateOnStart: String?
    @Option(help: help(Settings.oidcIssuer)) var oidcIssuer: String?
    @Option(help: help(Settings.oidcAudience)) var oidcAudience: String?
    @Option(help: help(Settings.signingKeyDays)) var signingKeyDays: String?

    @Option(help: help(Settings.secretsKeyFile)) var secretsKeyFile: String?
    @Option(help: help(Settings.secretsKeys)) var secretsKeys: String?

    /// - Returns: values by the settings' names.
    package static func values(of arguments: [String]) throws -> [String: String] { try parse(arguments).values }

    var values: [String: String] {
        let pairs: [(Setting, String?)] = [
            (Settings.listen, listen), (Settings.dataDir, dataDir), (Settings.apiKey, apiKey),
            (Settings.domain, domain), (Settings.urlStyle, urlStyle), (Settings.poolSize, poolSize),
            (Settings.isolation, isolation), (Settings.runsc, runsc), (Settings.runscPlatform, runscPlatform),
            (Settings.image, image), (Settings.imageDir, imageDir), (Settings.memoryMiB, memoryMib),
            (Settings.cpus, cpus),
            (Settings.diskMiB, diskMib), (Settings.maxProcesses, maxProcesses), (Settings.maxMemoryMiB, maxMemoryMib),
            (Settings.maxCPUs, maxCpus), (Settings.maxDiskMiB, maxDiskMib), (Settings.internet, internet),
            (Settings.dns, dns), (Settings.subnet, subnet), (Settings.logLevel, logLevel),
            (Settings.rateLimit, rateLimit), (Settings.rateLimitAddress, rateLimitAddress),
            (Settings.stoppedDays, stoppedDays), (Settings.maxStoppedDays, maxStoppedDays),
            (Settings.maxComputes, maxComputes), (Settings.maxGroupCPUs, maxGroupCpus),
            (Settings.maxGroupMemoryMiB, maxGroupMemoryMib), (Settings.maxGroupStorageMiB, maxGroupStorageMib),
            (Settings.maxCreatesPerMinute, maxCreatesPerMinute), (Settings.maxPoolMembers, maxPoolMembers),
            (Settings.maxPools, maxPools), (Settings.maxFilesystems, maxFilesystems),
            (Settings.maxFilesystemsMiB, maxFilesystemsMib), (Settings.maxTemplates, maxTemplates),
            (Settings.keepOnShutdown, keepOnShutdown),
            (Settings.sidekick, sidekick), (Settings.apiEndpoint, apiEndpoint),
            (Settings.internalEndpoint, internalEndpoint), (Settings.databaseType, databaseType),
            (Settings.databaseURL, databaseUrl), (Settings.postgresHost, postgresHost),
            (Settings.postgresPort, postgresPort), (Settings.postgresUser, postgresUser),
            (Settings.postgresPassword, postgresPassword), (Settings.postgresDatabase, postgresDatabase),
            (Settings.migrateOnStart, migrateOnStart), (Settings.oidcIssuer, oidcIssuer),
            (Settings.oidcAudience, oidcAudience), (Settings.signingKeyDays, signingKeyDays),
            (Settings.webhookNetworks, webhookNetworks), (Settings.metricsListen, metricsListen),
            (Settings.trustTraceparent, trustTraceparent), (Settings.secretsKeyFile, secretsKeyFile),
            (Settings.secretsKeys, secretsKeys),
        ]
        return pairs.reduce(into: [:]) { values, pair in values[pair.0.name] = pair.1 }
    }

    private static func help(_ setting: Setting) -> ArgumentHelp {
        let fallback = setting.fallback.map { " Default: \($0)." } ?? ""
        let alias = setting.alias.map { " or $\($0)" } ?? ""
        return ArgumentHelp("\(setting.help)\(fallback) [$\(setting.variable(prefix: Settings.prefix))\(alias)]")
    }
}

/// Reads the settings and runs the service; what keeps it from starting is one line on standard error and exit 1.
func start(
    _ flags: SettingFlags, _ run: (ServiceSettings, UnixSignalsSequence) async throws -> Void
) async throws {
    // From the first moment to the last: a signal during the set-up or the cleaning up would end us where we stand.
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    defer { withExtendedLifetime(signals) {} }
    try await configured(flags) { try await run($0, signals) }
}

/// The same for what a signal may end where it stands, because it is kept whole or not at all.
func configured(_ flags: SettingFlags, _ run: (ServiceSettings) async throws -> Void) async throws {
    do {
        let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let settings = try ServiceSettings(
            flags: flags.values, environment: ProcessInfo.processInfo.environment,
            executableDirectory: (executable as NSString).deletingLastPathComponent)
        try await run(settings)
    } catch {
        FileHandle.standardError.write(Data("computesdk: \(error)\n".utf8))
        throw ExitCode.failure
    }
}
