import APIContract
import APIService
import Auth
import ComputeCore
import ComputeDomain
import Crypto
import EventSourcing
import Foundation
import Glibc
import Logging
import SQLStore
import SecretSealing
import Synchronization
import TestSupport

/// What one group notices of another one's burst of creates: its 99th percentile alone and beside it, and the ratio.
///
///     fairness-bench [--burst N] [--samples N] [--rounds N] [--unfair]
///
/// The API with a database in a file, and computes in memory: what is left is what creates of two groups share.
@main
struct FairnessBenchmark {
    static func main() async throws {
        var arguments = CommandLine.arguments.dropFirst()
        func number(_ name: String, _ absent: Int) -> Int {
            guard let index = arguments.firstIndex(of: name), index + 1 < arguments.endIndex else { return absent }
            let value = Int(arguments[index + 1])
            arguments.removeSubrange(index...index + 1)
            guard let value, value > 0 else { fatalError("\(name) takes a number above 0") }
            return value
        }
        let (burst, samples, rounds) = (number("--burst", 1000), number("--samples", 300), number("--rounds", 5))
        let isUnfair = arguments.contains("--unfair")

        let folder = FileManager.default.currentDirectoryPath + "/.build/bench/fairness-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try await SQLiteEventStore.open(at: "\(folder)/db", now: SystemWallClock().now())
        let service = try Self.service(store, isUnfair: isUnfair)
        let quiet = Caller(group: GroupID("quiet"), metadata: EventMetadata(actor: "key:quiet"))
        let loud = Caller(group: GroupID("loud"), metadata: EventMetadata(actor: "key:loud"))

        // The first ones prepare statements and make files grow.
        for _ in 0..<50 { _ = try await service.create(CreateSandbox(), for: quiet) }
        var (alone, beside, bursts): ([Duration], [Duration], [Duration]) = ([], [], [])
        // In turn, so that whatever else the machine does is in both.
        for _ in 0..<rounds {
            for _ in 0..<samples { alone.append(try await time(service, quiet)) }
            let start = ContinuousClock.now
            let isOver = Flag()
            async let loudOnes: Void = creates(burst, service, loud, isOver)
            while !isOver.isSet { beside.append(try await time(service, quiet)) }
            try await loudOnes
            bursts.append(ContinuousClock.now - start)
        }
        try await store.close()

        let (before, during) = (percentile(99, alone), percentile(99, beside))
        let rate = Double(burst * bursts.count) / (bursts.reduce(.zero, +) / .seconds(1))
        print(
            "alone:   \(alone.count) creates, p50 \(milliseconds(percentile(50, alone))), p99 \(milliseconds(before))")
        print(
            "beside:  \(beside.count) creates, p50 \(milliseconds(percentile(50, beside))), p99 \(milliseconds(during))"
        )
        print("bursts:  \(bursts.count) of \(burst), \(Int(rate)) creates a second")
        print("ratio:   \(String(format: "%.2f", during / before))")
    }

    private static func service(_ store: SQLiteEventStore, isUnfair: Bool) throws -> ComputeService {
        let runtime = InMemoryRuntime()
        var settings = APISettings(
            listen: .tcp(host: "127.0.0.1", port: 0), internalListen: .tcp(host: "127.0.0.1", port: 0),
            urls: PublicURLs(style: .host, scheme: "http", domain: "localhost", port: 8080))
        settings.quotas = GroupQuotas()
        if isUnfair {
            settings.createTurns = .init(places: 1 << 20, placesOfOne: 1 << 20)
            settings.claimTurns = settings.createTurns
            settings.startTurns = settings.createTurns
        }
        var silent = Logger(label: "fairness-bench") { _ in SwiftLogNoOpLogHandler() }
        silent.logLevel = .critical
        let masterKeys = try MasterKeys(parsing: "first:" + [UInt8](repeating: 1, count: 32).base64URL)
        return ComputeService(
            ports: APIPorts(
                store: store, summaries: store, sessions: store, access: store, runtime: runtime,
                sidekicks: InMemorySidekicks(of: runtime), clock: SystemWallClock(),
                tokens: TokenSigner(Curve25519.Signing.PrivateKey()), sidekickKey: SymmetricKey(size: .bits256),
                webhooks: WebhookPorts(webhooks: store, consumers: store, sender: InMemoryReceivers()),
                secrets: SecretPorts(records: store, masterKeys: masterKeys), filesystems: store, templates: store,
                pools: store,
                usage: store),
            settings: settings, logger: silent)
    }

    private static func creates(
        _ count: Int, _ service: ComputeService, _ caller: Caller, _ isOver: Flag
    ) async throws {
        defer { isOver.set() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count { group.addTask { _ = try await service.create(CreateSandbox(), for: caller) } }
            try await group.waitForAll()
        }
    }

    private static func time(_ service: ComputeService, _ caller: Caller) async throws -> Duration {
        try await ContinuousClock().measure { _ = try await service.create(CreateSandbox(), for: caller) }
    }

    private static func percentile(_ part: Int, _ times: [Duration]) -> Duration {
        let sorted = times.sorted()
        return sorted[min(sorted.count - 1, sorted.count * part / 100)]
    }

    private static func milliseconds(_ time: Duration) -> String { String(format: "%.2f ms", time / .milliseconds(1)) }
}

private final class Flag: Sendable {
    private let state = Mutex(false)
    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
}
