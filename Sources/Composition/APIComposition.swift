import APIContract
import APIService
import AsyncHTTPClient
import Auth
import ComputeCore
import ComputeDomain
import ComputeRuntime
import Crypto
import Foundation
import LinuxHost
import LocalRuntime
import Logging
import SQLStore
import ServiceHost
import ServiceLifecycle
import SidekickClient
import SidekickProtocol
import WebhookClient

/// The API with what it stands on: data folder, keys, embedded database, local runtime.
struct APIComposition {
    let directory: DataDirectory
    let keys: ServiceKeys
    let server: APIServer
    let runtime: MachineRuntime
    /// What the banner says about the API key.
    let key: Banner.Key
    private let http: HTTPClient
    private let opened: OpenedStore
    private let keepOnShutdown: Bool
    private let logger: Logger

    /// - Parameters:
    ///   - directory: locked; the database inside is this process's alone.
    ///   - publicEndpoint: where clients reach the Gateway, with the real port.
    init(
        _ settings: ServiceSettings, directory: DataDirectory, keys: ServiceKeys, publicEndpoint: ComputeCore.Endpoint,
        logger: Logger
    ) async throws {
        self.directory = directory
        self.keys = keys
        self.logger = logger
        keepOnShutdown = settings.keepOnShutdown

        let clock = SystemWallClock()
        let startedAt = clock.now()
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: HTTPSidekickAgent.httpConfiguration)
        let sidekicks = HTTPSidekickAgent(http: http, key: keys.claimSigning)
        var unfinished: OpenedStore?
        do {
            runtime = try await MachineRuntime.chosen(by: settings, keys, sidekicks, logger: logger)
            opened = try await OpenedStore.open(settings, in: directory, now: startedAt, logger: logger)
            unfinished = opened
            let store = opened.store
            let keyFile = "api-key"
            let fresh = try await APIKeys(store: store, records: store, clock: clock).bootstrap(preset: settings.apiKey)
            {
                try directory.write(Data(($0 + "\n").utf8), to: keyFile)
            }
            key =
                if let fresh {
                    .new(fresh, file: directory.file(keyFile))
                } else {
                    settings.apiKey == nil ? .keptIn(file: directory.file(keyFile)) : .preset
                }
            var apiSettings = APISettings(
                listen: settings.apiEndpoint, internalListen: settings.internalEndpoint,
                urls: await PublicURLs.under(settings, publicEndpoint: publicEndpoint))
            apiSettings.version = Version.current
            apiSettings.maximumResources = settings.maximumResources
            apiSettings.rateLimits = settings.rateLimits
            apiSettings.quotas = settings.quotas
            apiSettings.poolsPerGroup = Int64(settings.maxPools)
            apiSettings.keepLimits = settings.keepLimits
            apiSettings.filesystemsPerGroup = FilesystemLimits(
                count: Int64(settings.maxFilesystems), totalMiB: Int64(settings.maxFilesystemsMiB))
            apiSettings.templatesPerGroup = Int64(settings.maxTemplates)
            apiSettings.signingPeriod = .seconds(settings.signingKeyDays * 24 * 3600)
            let signingKeys = SigningKeyFile(in: directory)
            var ports = APIPorts(
                store: store, summaries: store, sessions: store, access: store, runtime: runtime, sidekicks: sidekicks,
                clock: clock,
                tokens: TokenSigner(try signingKeys.loaded(orFirst: keys.tokenSigning, now: startedAt)),
                sidekickKey: keys.sidekick,
                webhooks: WebhookPorts(
                    webhooks: store, consumers: store,
                    sender: HTTPWebhookSender(
                        rules: DestinationRules(
                            allowed: settings.webhookNetworks, own: IPAddress.ofThisMachine,
                            sandboxes: { await IPNetwork.ofInterfaces(named: HostNetwork.bridgePrefix) }),
                        resolver: SystemResolver())),
                secrets: SecretPorts(
                    records: store, masterKeys: try settings.masterKeys.masterKeys(in: directory)),
                filesystems: store, templates: store, pools: store, usage: store)
            ports.signingKeys = signingKeys
            let documents = HTTPDocumentSource(http)
            ports.issuer = settings.issuer.map {
                ExternalIssuer(issuer: $0.url, audience: $0.audience, source: documents, clock: clock)
            }
            server = APIServer(
                ports: ports, settings: apiSettings, startedAt: startedAt, logger: logger)
        } catch {
            await unfinished?.close()
            try? await http.shutdown()
            throw error
        }
    }

    /// In the order in which they start; they stop in the reverse order.
    var services: [any Service] {
        [ClaimService(requireClaim: opened.requireClaim), RuntimeService(runtime: runtime)] + server.services
    }

    /// Runs the services and cleans up behind them, however they ended: a service that failed leaves as little
    /// behind as a stop.
    func finishing(_ run: () async throws -> Void) async throws {
        do {
            try await run()
        } catch {
            await finish()
            throw error
        }
        await finish()
    }

    private func finish() async {
        if !keepOnShutdown { await server.compute.endAll(.shutdown) }
        await runtime.shutdown(keep: keepOnShutdown)
        await opened.close()
        try? await http.shutdown()
        logger.notice("stopped")
    }
}

private struct RuntimeService: Service {
    let runtime: any ComputeRuntime
    func run() async throws { try await cancelWhenGracefulShutdown { try await runtime.run() } }
}

/// Ends all services when the database is not ours any more.
private struct ClaimService: Service {
    let requireClaim: @Sendable () async throws -> Void
    func run() async throws {
        try await cancelWhenGracefulShutdown { try await requireClaim() }
        // A service that returns ends the others as well.
        try? await gracefulShutdown()
    }
}

extension PublicURLs {
    /// The URLs that are handed out for computes behind a Gateway at `publicEndpoint`.
    static func under(_ settings: ServiceSettings, publicEndpoint: ComputeCore.Endpoint) async -> PublicURLs {
        guard case .tcp(let host, let port) = publicEndpoint else { preconditionFailure("the Gateway listens on TCP") }
        let byHost =
            switch settings.urlStyle {
            case .host: true
            case .path: false
            case .auto: await resolves("probe.\(settings.domain)")
            }
        if byHost { return PublicURLs(style: .host, scheme: "http", domain: settings.domain, port: port) }
        // A listener on all addresses has none to hand out; the domain is the best name there is for it.
        let isWildcard = host == "0.0.0.0" || host == "::"
        return PublicURLs(
            style: .path, scheme: "http", domain: isWildcard ? settings.domain : host, port: port,
            pathStyleServesPorts: publicEndpoint.isLoopback)
    }
}
