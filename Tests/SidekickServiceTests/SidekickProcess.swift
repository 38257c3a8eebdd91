import ComputeCore
import Crypto
import FoundationEssentials
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import SidekickProtocol
import Subprocess
import Synchronization
import SystemPackage
import Testing

/// Where one member lives across restarts: a directory with its sockets, state and home, and the key that claims it.
final class SidekickPlace: Sendable {
    let path: String
    let member = MemberName.random()
    let key = Curve25519.Signing.PrivateKey()
    let computeID = ComputeID.random()
    let secret = "test-secret-0123456789"
    /// nil: as an ordinary process of this machine.
    let sandbox: Runsc?
    /// Who user code runs as; nil: as the Sidekick.
    let user: TestAccount?
    /// Beyond those that every start needs.
    let options: [String]
    /// Where it listens, as it said itself; ports are free ones.
    private let bound = Mutex<Ready?>(nil)

    init(in sandbox: Runsc? = nil, user: TestAccount? = nil, options: [String] = []) throws {
        self.sandbox = sandbox
        self.user = user
        self.options = options
        // Short: a socket's path has room for 107 bytes.
        path = "/tmp/sk-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try #require(mkdir(path, 0o700) == 0)
        try #require(mkdir(home, 0o700) == 0)
        guard let user else { return }
        // The account has to get through to its home.
        try #require(chmod(path, 0o711) == 0)
        try #require(chown(home, user.uid, user.gid) == 0)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var home: String { path + "/home" }
    var listen: Endpoint { bound.withLock { $0?.listen } ?? asked.listen }
    var internalListen: Endpoint { bound.withLock { $0?.internal } ?? asked.internal }

    private struct Ready: Decodable {
        let ready: Bool
        let listen: Endpoint
        let `internal`: Endpoint
    }

    /// A socket that is made inside a sandbox is not there outside; the loopback of the host's network is.
    private var asked: (listen: Endpoint, internal: Endpoint) {
        guard sandbox == nil else { return (.tcp(host: "127.0.0.1", port: 0), .tcp(host: "127.0.0.1", port: 0)) }
        return (.unix(path: path + "/public.sock"), .unix(path: path + "/internal.sock"))
    }

    var arguments: [String] {
        [
            "--listen", asked.listen.description, "--internal-listen", asked.internal.description, "--member",
            member.rawValue, "--claim-key", key.publicKey.rawRepresentation.base64URL, "--state-dir",
            path + "/state", "--home", home,
        ] + (user.map { ["--user", $0.name] } ?? []) + options
    }

    /// What the Sidekick has logged, line by line.
    var log: [String] {
        String(decoding: FileManager.default.contents(atPath: path + "/log") ?? Data(), as: UTF8.self)
            .split(separator: "\n").map(String.init)
    }
    var errors: [String] { log.filter { $0.contains(#""level":"error""#) } }

    /// The executable beside the test bundle.
    static var executable: String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer[..<max(count, 0)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/sidekick"
    }

    /// It ended without having been ready.
    struct NotReady: Error {}

    /// Starts the real executable, runs `body` once it is ready, then ends it with `signal`.
    /// - Parameter wrapper: a command that executes the Sidekick, in place of its start as it is.
    @discardableResult
    func run(
        ending signal: Subprocess.Signal = .terminate, under wrapper: [String] = [],
        _ body: @escaping @Sendable (SidekickPlace) async throws -> Void
    ) async throws -> TerminationStatus {
        let command =
            try wrapper
            + (sandbox?.command(running: Self.executable, arguments, in: path) ?? [Self.executable] + arguments)
        let log = try FileDescriptor.open(
            FilePath(path + "/log"), .writeOnly, options: [.create, .append, .closeOnExec], permissions: .ownerReadWrite
        )
        let outcome = try await Subprocess.run(
            .path(FilePath(command[0])), arguments: Arguments(Array(command.dropFirst())),
            environment: .custom(["PATH": "/usr/bin:/bin", "PRIVATE_SETTING": "of the Sidekick"]), input: .none,
            output: .sequence, error: .fileDescriptor(log, closeAfterSpawningProcess: true)
        ) { execution in
            var failure: (any Error)?
            var lines = 0
            for try await line in execution.standardOutput.strings(bufferingPolicy: .maxLineLength(1 << 16)) {
                lines += 1
                guard lines == 1 else { continue }
                do {
                    let ready = try JSONDecoder().decode(Ready.self, from: Data(line.utf8))
                    #expect(ready.ready)
                    bound.withLock { $0 = ready }
                    try await body(self)
                } catch { failure = error }
                if let sandbox {
                    // `runsc run` does not pass signals on.
                    try await sandbox.kill(signal, in: path)
                } else {
                    try execution.send(signal: signal)
                }
            }
            if lines == 0 { throw NotReady() }
            #expect(lines == 1, "exactly one line on stdout")
            if let failure { throw failure }
        }
        return outcome.terminationStatus
    }

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let body: String
        var json: [String: JSONValue] { JSONValue.members(of: body) }
        func text(_ name: String) -> String? {
            guard case .string(let text) = json[name] else { return nil }
            return text
        }
    }

    /// One request with exactly this target: nothing is normalised on the way. With `declaredLength` the body is only
    /// announced: the answer must not wait for it.
    func send(
        _ method: HTTPMethod, _ target: String, body: String? = nil, bearer: String? = nil,
        to endpoint: Endpoint? = nil,
        headers extra: HTTPHeaders = [:], declaredLength: Int? = nil
    ) async throws -> Answer {
        let connection = try await HTTPClientConnection.connect(to: endpoint ?? listen, timeout: .seconds(30))
        var headers: HTTPHeaders = ["Host": "sidekick", "Connection": "close"]
        headers.add(contentsOf: extra)
        if let bearer { headers.add(name: "Authorization", value: "Bearer \(bearer)") }
        headers.add(name: "Content-Length", value: "\(declaredLength ?? body?.utf8.count ?? 0)")
        do {
            try await connection.sendHead(
                HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: headers))
            if let body { try await connection.sendBody(ByteBuffer(string: body)) }
            if declaredLength == nil { try await connection.finish() }
            let head = try await connection.receiveHead()
            var bytes = ByteBuffer()
            for try await part in connection.body { bytes.writeImmutableBuffer(part) }
            await connection.close()
            return Answer(
                status: Int(head.status.code), headers: head.headers, body: String(buffer: bytes))
        } catch {
            await connection.close()
            throw error
        }
    }

    func authorized(_ method: HTTPMethod, _ target: String, body: String? = nil) async throws -> Answer {
        try await send(method, target, body: body, bearer: secret)
    }

    @discardableResult
    func claim(
        _ id: ComputeID? = nil, member: MemberName? = nil, lifetime: Duration = ClaimCredential.lifetime,
        otherBody: Bool = false, portURLTemplate: String? = nil, env: [String: String] = ["GREETING": "hello"]
    ) async throws -> Answer {
        let id = id ?? computeID
        let order = ClaimOrder(
            computeId: id, generation: .first, secret: secret, env: env, directory: nil,
            url: "http://localhost/s/\(id)", portURLTemplate: portURLTemplate, timeoutMs: 3_600_000)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let body = try encoder.encode(order)
        let credential = ClaimCredential(
            member: member ?? self.member, computeID: id, generation: .first,
            expiresAt: SystemWallClock().now() + lifetime, body: body)
        return try await send(
            .POST, "/internal/claim", body: String(decoding: body, as: UTF8.self) + (otherBody ? " " : ""),
            to: internalListen, headers: [ClaimCredential.header: try credential.signed(with: key)])
    }
}

extension JSONValue {
    /// The members of the object that the text is; none when it is something else.
    static func members(of text: String) -> [String: JSONValue] {
        (try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)))?.members ?? [:]
    }

    var members: [String: JSONValue] {
        guard case .object(let members) = self else { return [:] }
        return members
    }

    /// nil: it is no array.
    var elements: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    var line: String {
        (try? JSONEncoder().encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
