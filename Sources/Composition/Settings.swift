package import APIService
package import ComputeCore
package import ComputeDomain
import Foundation
package import LocalRuntime
package import Logging
package import ServiceHost
package import WebhookClient

/// Every setting there is, with its default. docs/configuration.md shows the same table; a test compares them.
package enum Settings {
    package static let prefix = "COMPUTESDK"

    package static let listen = Setting(
        "listen", fallback: "127.0.0.1:8080", "Where the Gateway listens: host:port. Port 0 takes any free port.")
    package static let dataDir = Setting(
        "data-dir", fallback: "$XDG_DATA_HOME/computesdk or ~/.local/share/computesdk",
        "The folder for database, keys, sockets and computes. Absolute.")
    package static let apiKey = Setting(
        "api-key", isSecret: true,
        "Presets the first API key (16 to 256 printable characters), for automation. It is not printed or written down."
    )
    package static let domain = Setting(
        "domain", fallback: "localhost", "Computes are reached as <id>.<domain> and <id>-<port>.<domain>.")
    package static let urlStyle = Setting(
        "url-style", fallback: "auto",
        "host, path (/s/<id>), or auto: host when probe.<domain> resolves at start, else path.")
    package static let poolSize = Setting("pool-size", fallback: "4", "How many computes are kept started ahead.")
    package static let isolation = Setting(
        "isolation", fallback: "gvisor", "gvisor, or process: no isolation at all, for development only.")
    package static let runsc = Setting("runsc", fallback: "runsc in $PATH", "The runsc executable.")
    package static let runscPlatform = Setting(
        "runsc-platform", fallback: "auto", "auto takes the best that boots; else systrap, ptrace or kvm.")
    package static let image = Setting(
        "image", fallback: "base",
        "What computes run: base, built at the first start; a registry's image, such as python:3.12-slim; or oci:/folder[:tag]."
    )
    package static let imageDir = Setting(
        "image-dir", fallback: "<data-dir>/images", "Where images are kept. Several instances may share it.")
    package static let memoryMiB = Setting("memory-mib", fallback: "512", "The memory of a compute.")
    package static let cpus = Setting("cpus", fallback: "1", "The processors of a compute; may be a fraction.")
    package static let diskMiB = Setting("disk-mib", fallback: "2048", "What a compute may write to its disk.")
    package static let maxProcesses = Setting(
        "max-processes", fallback: "512",
        "The most processes and threads that user code in one compute may have; no more than 64 and one for each 8 MiB of its memory."
    )
    package static let maxMemoryMiB = Setting(
        "max-memory-mib", fallback: "this machine's memory", "The most memory that a create may ask for.")
    package static let maxCPUs = Setting(
        "max-cpus", fallback: "this machine's processors", "The most processors that a create may ask for.")
    package static let maxDiskMiB = Setting(
        "max-disk-mib", fallback: "65536", "The largest disk that a create may ask for.")
    package static let internet = Setting(
        "internet", fallback: "true", "Whether computes reach the internet. Private addresses they never reach.")
    package static let dns = Setting(
        "dns", fallback: "this machine's resolvers", "Whom computes ask for names: IPv4 addresses with commas between.")
    package static let subnet = Setting(
        "subnet", fallback: "one that nothing here uses", "The computes' IPv4 subnet, /20 to /29, such as 10.77.0.0/22."
    )
    package static let logLevel = Setting(
        "log-level", fallback: "info", "trace, debug, info, notice, warning, error or critical.")
    package static let maxFilesystems = Setting(
        "max-filesystems", fallback: "100", "How many filesystems a group may have.")
    package static let maxFilesystemsMiB = Setting(
        "max-filesystems-mib", fallback: "102400", "How large the filesystems of a group may be in all.")
    package static let maxTemplates = Setting(
        "max-templates", fallback: "100", "How many templates a group may have.")
    package static let keepOnShutdown = Setting(
        "keep-on-shutdown", fallback: "false",
        "true: computes outlive an orderly stop and are found again at the next start.")
    package static let sidekick = Setting(
        "sidekick", fallback: "sidekick beside this executable", "The Sidekick executable that is put into computes.")
    package static let apiEndpoint = Setting(
        "api-endpoint", fallback: "unix:<data-dir>/api.sock",
        "Where the API listens and the Gateway finds it: host:port or unix:/path.")
    package static let internalEndpoint = Setting(
        "internal-endpoint", fallback: "unix:<data-dir>/internal.sock",
        "Where the API's internal listener is, for the Gateway only: unix:/path.")

    package static let webhookNetworks = Setting(
        "webhook-networks", fallback: "none",
        "Networks of your own that webhooks may be sent to, such as 10.0.0.0/8, with commas between. There also http will do."
    )

    package static let metricsListen = Setting(
        "metrics-listen", fallback: "nowhere",
        "Where GET /metrics is answered, for Prometheus: host:port. Nobody is asked for a key there.")

    package static let trustTraceparent = Setting(
        "trust-traceparent", fallback: "false",
        "true: a request's own traceparent is believed, because something of yours stands before the Gateway and sets it."
    )

    package static let all =
        [
            listen, dataDir, apiKey, domain, urlStyle, poolSize, isolation, runsc, runscPlatform, image, imageDir,
            memoryMiB, cpus, diskMiB, maxProcesses, maxMemoryMiB, maxCPUs, maxDiskMiB, internet, dns, subnet, logLevel,
            maxFilesystems, maxFilesystemsMiB, maxTemplates, keepOnShutdown, sidekick, apiEndpoint, internalEndpoint,
            webhookNetworks, metricsListen,
            trustTraceparent,
        ] + limits + database + access + secrets
}

package enum URLStyle: String, CaseIterable, Sendable { case auto, host, path }
package enum RunscPlatform: String, CaseIterable, Sendable { case auto, systrap, ptrace, kvm }
package enum Isolation: String, CaseIterable, Sendable { case gvisor, process }

/// The settings of one process, read and checked.
package struct ServiceSettings: Sendable {
    package var listen: Endpoint
    package var dataDirectory: String
    package var apiKey: String?
    package var domain: String
    package var urlStyle: URLStyle
    package var poolSize: Int
    package var isolation: Isolation
    package var logLevel: Logger.Level
    /// What a group may have that has no quotas of its own.
    package var quotas: GroupQuotas
    package var rateLimits: RateLimitSettings
    package var maxPools: Int
    /// How long what is stopped is kept.
    package var keepLimits: KeepLimits
    package var maxFilesystems: Int
    package var maxFilesystemsMiB: Int
    package var maxTemplates: Int
    package var keepOnShutdown: Bool
    package var sidekick: String
    package var apiEndpoint: Endpoint
    package var internalEndpoint: Endpoint
    /// Where metrics are asked for; nil: nowhere.
    package var metricsListen: Endpoint?
    package var trustsTraces: Bool
    package var gvisor: GVisorSettings
    package var database: DatabaseSettings
    package var migratesOnStart: Bool
    /// Whose tokens people sign in with, if anybody's.
    package var issuer: IssuerSettings?
    /// How many days one key signs tokens.
    package var signingKeyDays: Int
    package var webhookNetworks: [IPNetwork]
    package var masterKeys: MasterKeySource
    /// What a create may ask for.
    package var maximumResources: ComputeResources

    /// - Parameter executableDirectory: where this process's own executable is.
    package init(
        flags: [String: String], environment: [String: String], executableDirectory: String
    ) throws(SettingError) {
        let reader = SettingsReader(prefix: Settings.prefix, flags: flags, environment: environment)

        listen = .tcp(host: "127.0.0.1", port: 8080)
        if let text = reader.string(Settings.listen) {
            guard let endpoint = Endpoint(text), case .tcp = endpoint else {
                throw reader.error(Settings.listen, "must be host:port, such as 127.0.0.1:8080")
            }
            listen = endpoint
        }

        trustsTraces = try reader.flag(Settings.trustTraceparent) ?? false
        metricsListen = try reader.value(Settings.metricsListen, Endpoint.self, shape: "host:port")
        guard metricsListen.map({ if case .tcp = $0 { true } else { false } }) ?? true else {
            throw reader.error(Settings.metricsListen, "must be host:port, such as 127.0.0.1:9100")
        }

        let dataHome = environment["XDG_DATA_HOME"] ?? environment["HOME"].map { "\($0)/.local/share" }
        guard let directory = reader.string(Settings.dataDir) ?? dataHome.map({ "\($0)/computesdk" }) else {
            throw reader.error(Settings.dataDir, "must be set where $HOME is not")
        }
        guard directory.hasPrefix("/") else { throw reader.error(Settings.dataDir, "must be an absolute path") }
        dataDirectory = directory

        apiKey = reader.string(Settings.apiKey)
        domain = reader.string(Settings.domain)?.lowercased() ?? "localhost"
        guard Self.isDomain(domain) else {
            throw reader.error(Settings.domain, "must be a domain name without a port, such as sandbox.example.com")
        }
        urlStyle = try reader.choice(Settings.urlStyle, URLStyle.self) ?? .auto
        poolSize = try reader.integer(Settings.poolSize, in: 0...1000) ?? 4
        isolation = try reader.choice(Settings.isolation, Isolation.self) ?? .gvisor
        logLevel = try reader.choice(Settings.logLevel, Logger.Level.self) ?? .info
        rateLimits = try RateLimitSettings(reader)
        maxPools = try reader.integer(Settings.maxPools, in: 0...1_000_000) ?? 20
        keepLimits = try KeepLimits(reader)
        maxFilesystems = try reader.integer(Settings.maxFilesystems, in: 0...1_000_000) ?? 100
        maxFilesystemsMiB = try reader.integer(Settings.maxFilesystemsMiB, in: 0...(1 << 30)) ?? 102_400
        maxTemplates = try reader.integer(Settings.maxTemplates, in: 0...1_000_000) ?? 100
        keepOnShutdown = try reader.flag(Settings.keepOnShutdown) ?? false
        sidekick = reader.string(Settings.sidekick) ?? "\(executableDirectory)/sidekick"
        gvisor = try Self.gvisor(reader, dataDirectory: directory)
        quotas = try GroupQuotas(reader, of: gvisor, maxFilesystemsMiB: maxFilesystemsMiB)
        webhookNetworks = []
        for text in (reader.string(Settings.webhookNetworks) ?? "").split(separator: ",") {
            guard let network = IPNetwork(text.trimmingCharacters(in: .whitespaces)) else {
                throw reader.error(Settings.webhookNetworks, "must be networks such as 10.0.0.0/8 with commas between")
            }
            webhookNetworks.append(network)
        }
        database = try DatabaseSettings(reader)
        masterKeys = try MasterKeySource(reader)
        migratesOnStart = try reader.flag(Settings.migrateOnStart) ?? true
        issuer = try IssuerSettings(reader)
        signingKeyDays = try reader.integer(Settings.signingKeyDays, in: 1...3650) ?? 90
        maximumResources = ComputeResources(
            cpus: try reader.number(Settings.maxCPUs, in: 0.1...1024) ?? Self.processors,
            memoryBytes: try reader.mebibytes(Settings.maxMemoryMiB) ?? Self.memoryBytes,
            diskBytes: try reader.mebibytes(Settings.maxDiskMiB) ?? 65536 << 20)
        apiEndpoint =
            try reader.value(Settings.apiEndpoint, Endpoint.self, shape: "host:port or unix:/path")
            ?? .unix(path: "\(directory)/api.sock")
        internalEndpoint = .unix(path: "\(directory)/internal.sock")
        if let endpoint = try reader.value(Settings.internalEndpoint, Endpoint.self, shape: "unix:/path") {
            // Over TCP it would need a credential of its own; until it has one, the file mode is the guard.
            guard case .unix = endpoint else { throw reader.error(Settings.internalEndpoint, "must be unix:/path") }
            internalEndpoint = endpoint
        }
    }

    private static func isDomain(_ text: String) -> Bool {
        text.utf8.count <= 190
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                (1...63).contains(label.utf8.count)
                    && label.utf8.allSatisfy { $0.isLowercaseLetter || $0.isDigit || $0 == UInt8(ascii: "-") }
                    && label.first != "-" && label.last != "-"
            }
    }
}
