import AsyncHTTPClient
import ComputeCore
import Foundation
import NIOCore
import NIOHTTP1
import Subprocess
import SystemPackage
import Testing

/// The real `computesdk serve` on a data folder of its own, which outlives each run of it.
final class ServedSystem: Sendable {
    /// Short: sockets lie below it.
    let dataDirectory = "/tmp/cs-\(String.randomLabel(length: 8))"
    static let poolSize = 2
    let key = "test-key-\(String.randomLabel(length: 16))"
    private let isolation: ServedIsolation
    private let settings: [String: String]
    private var log: String { "\(dataDirectory).log" }

    /// - Parameter settings: environment variables beside those that every test sets.
    init(_ isolation: ServedIsolation = .process, settings: [String: String] = [:]) {
        self.isolation = isolation
        self.settings = settings
    }

    deinit {
        for path in [dataDirectory, log] { try? FileManager.default.removeItem(atPath: path) }
    }

    struct Answer: Sendable {
        var status: UInt
        var body: [String: JSONValue]

        /// Of the `data` in the one envelope.
        func text(_ name: String) -> String? {
            guard case .object(let data)? = body["data"], case .string(let text)? = data[name] else { return nil }
            return text
        }

        func integer(_ name: String) -> Int? {
            guard case .object(let data)? = body["data"], case .int(let number)? = data[name] else { return nil }
            return Int(number)
        }
    }

    /// Starts it with another runsc than at its making, or the same; `body` ends it by a signal.
    func run(
        with isolation: ServedIsolation? = nil, _ body: @escaping @Sendable (Running) async throws -> Void
    ) async throws -> TerminationStatus {
        // Beside the test bundle: both are products of this package.
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let executable = URL(fileURLWithPath: own).deletingLastPathComponent().appending(path: "computesdk")
        var environment = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "COMPUTESDK_API_KEY": key,
            "COMPUTESDK_POOL_SIZE": "\(Self.poolSize)",
        ]
        environment.merge((isolation ?? self.isolation).settings) { _, new in new }
        environment.merge(settings) { _, new in new }
        let errors = try FileDescriptor.open(
            FilePath(log), .writeOnly, options: [.create, .append, .closeOnExec], permissions: .ownerReadWrite)
        let outcome = try await Subprocess.run(
            .path(FilePath(executable.path)),
            arguments: ["serve", "--data-dir", dataDirectory, "--listen", "127.0.0.1:0", "--url-style", "path"],
            environment: .custom(
                Dictionary(uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0.key), $0.value) })
            ),
            input: .none, output: .sequence,
            error: .fileDescriptor(errors, closeAfterSpawningProcess: true)
        ) { execution in
            let (lines, line) = AsyncStream<String>.makeStream()
            let running = Running(pid: execution.processIdentifier.value, system: self, lines: lines)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { kill(running.pid, SIGKILL) }
                    try await body(running)
                    // The rest is its own time to end in.
                    try await running.untilItEnded()
                }
                for try await text in execution.standardOutput.strings(bufferingPolicy: .maxLineLength(1 << 16)) {
                    line.yield(text)
                }
                line.finish()
                try await group.waitForAll()
            }
        }
        return outcome.terminationStatus
    }

    /// The end of what it logged, for a failure's message.
    var said: String {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(15).joined(separator: "\n")
    }

    /// Processes that have the data folder in their arguments.
    var processes: [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { pid in
            FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")?.firstRange(of: Data(dataDirectory.utf8))
                != nil
        }
    }

    var members: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: "\(dataDirectory)/members")) ?? []
    }

    func send(
        _ method: String, _ url: String, _ body: String? = nil, token: String? = nil,
        timeout: TimeAmount = .seconds(60)
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: url)
        request.method = .init(rawValue: method)
        request.headers.add(name: "authorization", value: "Bearer \(token ?? key)")
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await HTTPClient.shared.execute(request, timeout: timeout)
        let bytes = Data((try await response.body.collect(upTo: 4 << 20)).readableBytesView)
        guard case .object(let fields)? = try? JSONDecoder().decode(JSONValue.self, from: bytes) else {
            return Answer(status: response.status.code, body: [:])
        }
        return Answer(status: response.status.code, body: fields)
    }
}

/// One run of it.
struct Running: Sendable {
    let pid: Int32
    let system: ServedSystem
    fileprivate let lines: AsyncStream<String>

    fileprivate init(pid: Int32, system: ServedSystem, lines: AsyncStream<String>) {
        self.pid = pid
        self.system = system
        self.lines = lines
    }

    /// Where clients connect; the banner says it once a create would succeed.
    func url() async throws -> String {
        for await line in lines {
            guard let start = line.range(of: "http://127.0.0.1:") else { continue }
            return "http://127.0.0.1:" + line[start.upperBound...].prefix { $0.isNumber }
        }
        throw Ended(said: system.said)
    }

    func signal(_ number: Int32) { kill(pid, number) }

    fileprivate func untilItEnded() async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while ContinuousClock.now < deadline {
            // A zombie's arguments are empty; what is waited for may be a zombie until then.
            let arguments = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")
            if arguments?.isEmpty ?? true { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("it does not end: \(system.said)")
    }

    /// It ended before it was ready.
    struct Ended: Error { var said: String }
}
