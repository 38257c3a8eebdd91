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
    private let key = "test-key-\(String.randomLabel(length: 16))"

    deinit { try? FileManager.default.removeItem(atPath: dataDirectory) }

    struct Answer: Sendable {
        var status: UInt
        var body: [String: JSONValue]

        /// Of the `data` in the one envelope.
        func text(_ name: String) -> String? {
            guard case .object(let data)? = body["data"], case .string(let text)? = data[name] else { return nil }
            return text
        }
    }

    /// Starts it; `body` ends it by a signal.
    func run(_ body: @escaping @Sendable (Running) async throws -> Void) async throws -> TerminationStatus {
        // Beside the test bundle: both are products of this package.
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let executable = URL(fileURLWithPath: own).deletingLastPathComponent().appending(path: "computesdk")
        let arguments = ["--data-dir", dataDirectory, "--listen", "127.0.0.1:0", "--url-style", "path"]
        let outcome = try await Subprocess.run(
            .path(FilePath(executable.path)),
            arguments: Arguments(["serve", "--isolation", "process", "--pool-size", "2"] + arguments),
            environment: .custom(["PATH": "/usr/bin:/bin", "COMPUTESDK_API_KEY": key]), input: .none,
            output: .sequence, error: .discarded
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
        _ method: String, _ url: String, _ body: String? = nil, token: String? = nil
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: url)
        request.method = .init(rawValue: method)
        request.headers.add(name: "authorization", value: "Bearer \(token ?? key)")
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(15))
        let bytes = Data((try await response.body.collect(upTo: 1 << 20)).readableBytesView)
        let document = try JSONDecoder().decode(JSONValue.self, from: bytes)
        guard case .object(let fields) = document else { return Answer(status: response.status.code, body: [:]) }
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
        throw Ended()
    }

    func signal(_ number: Int32) { kill(pid, number) }

    fileprivate func untilItEnded() async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            // A zombie's arguments are empty; what is waited for may be a zombie until then.
            let arguments = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")
            if arguments?.isEmpty ?? true { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("it does not end")
    }

    struct Ended: Error {}
}
