import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import Subprocess
import SystemPackage

/// One `computesdk serve` that the benchmark started, with a data folder of its own.
struct Server: Sendable {
    struct Options: Sendable {
        var binary: String
        var imageDirectory: String
        var runsc: String?
        var extra: [String: String] = [:]
    }

    static let key = "benchmark-key-0123456789abcdef"
    let url: String
    let dataDirectory: String
    let process: Int32
    let http: HTTPClient

    /// Runs `body` against a server that is ready and whose pool is full, and stops it in order.
    static func run<Value: Sendable>(
        pool: Int, _ options: Options, _ body: @escaping @Sendable (Server) async throws -> Value
    ) async throws -> Value {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "tti-\(UInt32.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let port = try freePort()
        var environment: [Environment.Key: String] = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
            "COMPUTESDK_LISTEN": "127.0.0.1:\(port)", "COMPUTESDK_DATA_DIR": folder.path,
            "COMPUTESDK_API_KEY": key, "COMPUTESDK_POOL_SIZE": "\(pool)", "COMPUTESDK_URL_STYLE": "path",
            "COMPUTESDK_LOG_LEVEL": "warning", "COMPUTESDK_MAX_COMPUTES": "1000",
            "COMPUTESDK_RATE_LIMIT": "0",
            "COMPUTESDK_IMAGE_DIR": options.imageDirectory,
        ]
        if let runsc = options.runsc { environment["COMPUTESDK_RUNSC"] = runsc }
        for (name, value) in options.extra { environment[.init(stringLiteral: name)] = value }

        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 256
        configuration.timeout.connect = .seconds(10)
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let log = try FileDescriptor.open(
            FilePath("\(folder.path)/../tti-serve.log"), .writeOnly, options: [.create, .append],
            permissions: .ownerReadWrite)
        var platform = PlatformOptions()
        platform.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(60))]
        let result: Result<Value, any Error>
        do {
            let outcome = try await Subprocess.run(
                .path(FilePath(options.binary)), arguments: ["serve"], environment: .custom(environment),
                platformOptions: platform, input: .none, output: .discarded,
                error: .fileDescriptor(log, closeAfterSpawningProcess: true)
            ) { execution in
                let server = Server(
                    url: "http://127.0.0.1:\(port)", dataDirectory: folder.path,
                    process: execution.processIdentifier.value, http: http)
                let value: Value
                do {
                    try await server.waitForIdle(pool)
                    value = try await body(server)
                } catch {
                    await execution.teardown(using: platform.teardownSequence)
                    throw error
                }
                await execution.teardown(using: platform.teardownSequence)
                return value
            }
            result = .success(outcome.closureResult)
        } catch {
            result = .failure(error)
        }
        try? await http.shutdown()
        return try result.get()
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard bound else { throw Failure("no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    // MARK: - Requests

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    struct Compute: Sendable {
        var id: String
        var url: String
        var token: String
        /// Milliseconds by stage, as the server says in `Server-Timing`.
        var stages: [String: Double]
    }

    func create() async throws -> Compute {
        let (answer, headers) = try await call("POST", "\(url)/v1/sandboxes", key: true, body: [:])
        guard let data = answer["data"] as? [String: Any], let id = data["sandboxId"] as? String,
            let base = data["url"] as? String, let token = data["token"] as? String
        else { throw Failure("the create's answer lacks fields: \(answer)") }
        var stages: [String: Double] = [:]
        for entry in (headers.first(name: "server-timing") ?? "").split(separator: ",") {
            let parts = entry.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
            if let name = parts.first, let duration = parts.first(where: { $0.hasPrefix("dur=") }) {
                stages[name] = Double(duration.dropFirst(4))
            }
        }
        return Compute(id: id, url: base, token: token, stages: stages)
    }

    /// - Returns: what it printed.
    func run(_ command: String, in compute: Compute) async throws -> String {
        let (answer, _) = try await call(
            "POST", "\(compute.url)/run/command", token: compute.token, body: ["command": command])
        guard let data = answer["data"] as? [String: Any], let code = data["exit_code"] as? Int,
            let output = data["stdout"] as? String
        else { throw Failure("the command's answer lacks fields: \(answer)") }
        guard code == 0 else { throw Failure("\(command) ended with \(code): \(data["stderr"] ?? "")") }
        return output
    }

    func write(_ text: String, to path: String, in compute: Compute) async throws {
        _ = try await call(
            "POST", "\(compute.url)/files", token: compute.token, body: ["path": path, "content": text])
    }

    func destroy(_ compute: Compute) async throws {
        _ = try await call("DELETE", "\(url)/v1/sandboxes/\(compute.id)", key: true, body: nil)
    }

    /// The platform that gVisor runs on here.
    func platform() async throws -> String {
        let (answer, _) = try await call("GET", "\(url)/v1/runtime", key: true, body: nil)
        let runsc = (answer["data"] as? [String: Any])?["runsc"] as? [String: Any]
        guard let platform = runsc?["platform"] as? String else { throw Failure("the server does not use gVisor") }
        return platform
    }

    /// Outside every measured window.
    func waitForIdle(_ count: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(300)
        while ContinuousClock.now < deadline {
            if let (answer, _) = try? await call("GET", "\(url)/v1/runtime", key: true, body: nil),
                let data = answer["data"] as? [String: Any], let pool = data["pool"] as? [String: Any],
                let idle = pool["idle"] as? Int, idle >= count
            {
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw Failure("the pool did not fill to \(count)")
    }

    private func call(
        _ method: String, _ url: String, key: Bool = false, token: String? = nil, body: [String: Any]?
    ) async throws -> ([String: Any], HTTPHeaders) {
        var request = HTTPClientRequest(url: url)
        request.method = .RAW(value: method)
        if key { request.headers.add(name: "X-ComputeSDK-API-Key", value: Self.key) }
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(data: try JSONSerialization.data(withJSONObject: body)))
        }
        let response = try await http.execute(request, timeout: .seconds(180))
        let bytes = try await response.body.collect(upTo: 4 << 20)
        let document = try JSONSerialization.jsonObject(with: Data(buffer: bytes)) as? [String: Any] ?? [:]
        guard (200..<300).contains(response.status.code) else {
            throw Failure("\(method) \(url): \(response.status.code) \(document["message"] ?? "")")
        }
        return (document, response.headers)
    }
}
