import AsyncHTTPClient
import ComputeCore
import ComputeRuntime
import Crypto
import FoundationEssentials
import Glibc
import LocalRuntime
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import SidekickClient
import SidekickProtocol
import Testing

/// A data directory, the API's claim key and the real `sidekick`, for one test.
struct LocalWorld: Sendable {
    let dataDirectory: String
    let key = Curve25519.Signing.PrivateKey()

    /// The path is short, for the sockets below it.
    init() {
        dataDirectory = "/tmp/rt-\(String.randomLabel(length: 8))"
    }

    func runtime(
        poolSize: Int, warmUp: @escaping @Sendable (Member) async throws -> Void = { _ in }
    ) throws -> MachineRuntime {
        var settings = MachineRuntime.Settings(
            dataDirectory: dataDirectory, sidekick: try Self.sidekick,
            claimKey: key.publicKey.rawRepresentation.base64URL, poolSize: poolSize)
        settings.warmUp = warmUp
        return try MachineRuntime.process(settings, logger: Self.quiet)
    }

    /// The runtime warns loudly, which is noise among test results.
    static var quiet: Logger {
        var logger = Logger(label: "local-runtime-tests")
        logger.logLevel = .critical
        return logger
    }

    /// Runs `body` beside the runtime's `run()`, and removes everything afterwards.
    func withRunning<Value: Sendable>(
        _ runtime: MachineRuntime, _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runtime.run() }
            let value: Value
            do { value = try await body() } catch {
                await runtime.shutdown(keep: false)
                group.cancelAll()
                throw error
            }
            group.cancelAll()
            return value
        }
    }

    func removeDataDirectory() { try? FileManager.default.removeItem(atPath: dataDirectory) }

    var agent: HTTPSidekickAgent { HTTPSidekickAgent(http: Self.http, key: key) }

    /// One for all tests, for as long as the process lives.
    private static let http = HTTPClient(configuration: HTTPSidekickAgent.httpConfiguration)

    /// One command through the Sidekick, as a user's client runs it.
    func run(_ command: String, in member: Member, secret: String) async throws {
        guard case .unix(let socket) = member.sidekick else { return }
        var request = HTTPClientRequest(
            url: "http+unix://\(HTTPSidekickAgent.percentEncoded(socket))/run/command")
        request.method = .POST
        request.headers.add(name: "host", value: "sidekick")
        request.headers.add(name: "authorization", value: "Bearer \(secret)")
        request.headers.add(name: "content-type", value: "application/json")
        let body = try JSONEncoder().encode(["command": command])
        request.body = .bytes(ByteBuffer(data: body))
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        try #require(response.status.code == 200)
    }

    /// What a shell in the member says, without the line's end; nil when it fails.
    func said(_ command: String, in member: Member, secret: String) async throws -> String? {
        let base =
            switch member.sidekick {
            case .unix(let path): "http+unix://\(HTTPSidekickAgent.percentEncoded(path))"
            case .tcp: "http://\(member.sidekick)"
            }
        var request = HTTPClientRequest(url: "\(base)/run/command")
        request.method = .POST
        request.headers.add(name: "host", value: "sidekick")
        request.headers.add(name: "authorization", value: "Bearer \(secret)")
        request.body = .bytes(ByteBuffer(data: try JSONEncoder().encode(["command": command])))
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
        let body = try await response.body.collect(upTo: 1 << 20)
        let answer = try JSONDecoder().decode(JSONValue.self, from: Data(body.readableBytesView))
        guard case .object(let fields) = answer, case .object(let data)? = fields["data"],
            data["exit_code"] == .int(0), case .string(let text)? = data["stdout"]
        else { return nil }
        return String(text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }

    /// Stops a member in which there is something, and looks for it in the next one. With nothing but a shell.
    func checkThatADiskIsKept(_ runtime: MachineRuntime) async throws {
        let id = ComputeID.random()
        func order(_ generation: Int, _ env: [String: String]) -> ClaimOrder {
            ClaimOrder(
                computeId: id, generation: Generation(generation), secret: "a-secret-of-generation-\(generation)",
                env: env, directory: nil, url: "http://localhost", portURLTemplate: nil)
        }
        let first = try await runtime.startMember(.fromPool, deadline: .now + .seconds(60))
        var begin = order(1, ["GIVEN": "value", "SECRET": "old-canary"])
        begin.secretEnv = ["SECRET"]
        begin.setup = .object([
            "servers": .array([
                .object(["slug": .string("web"), "start": .string("echo started >> starts; kill -STOP $$")])
            ])
        ])
        try await agent.claim(first.name, at: first.sidekickInternal, order: begin)
        #expect(try await said("echo more > file; echo $GIVEN $SECRET", in: first, secret: begin.secret) != nil)
        try await eventually { try await said(Self.starts, in: first, secret: begin.secret) == "started" }

        try await runtime.keepDisk(of: first.name, as: id)
        // Between keeping and stopping it goes on, also with new files.
        #expect(try await said("echo last > last; read x < file; echo $x", in: first, secret: begin.secret) == "more")
        try await runtime.stop(first.name)
        #expect(try await runtime.keptDisks() == [id])
        // Where that can be seen from outside.
        let kept = "\(dataDirectory)/homes/\(first.name)/keep/kept.json"
        if let record = FileManager.default.contents(atPath: kept) {
            #expect(record.firstRange(of: Data("value".utf8)) != nil)
            #expect(record.firstRange(of: Data("old-canary".utf8)) == nil)
        }

        let second = try await runtime.startMember(MemberOrder(disk: id), deadline: .now + .seconds(60))
        var again = order(2, ["SECRET": "new"])
        (again.secretEnv, again.goesOn) = (["SECRET"], true)
        for _ in 0..<2 { try await agent.claim(second.name, at: second.sidekickInternal, order: again) }
        let found = try await said(
            "read a < file; read b < last; echo $a $b $GIVEN $SECRET", in: second, secret: again.secret)
        #expect(found == "more last value new")
        try await eventually { try await said(Self.starts, in: second, secret: again.secret) == "started started" }
        let old = try? await said("echo", in: second, secret: begin.secret)
        #expect((old ?? nil) == nil, "the secret of another generation opens nothing")
        try await runtime.remove(second.name)
        // The kernel may take a moment to see that nobody has it any more.
        try await eventually(.seconds(30)) { (try? await runtime.removeDisk(id)) != nil }
    }

    private static let starts = "all=; while read x; do all=\"$all $x\"; done < starts; echo $all"

    func directory(of member: Member) -> String { "\(dataDirectory)/members/\(member.name)" }

    /// It lies beside the test bundle: both are products of this package.
    static var sidekick: String {
        get throws {
            let own = try #require(readLink("/proc/self/exe"))
            return own[..<(own.lastIndex(of: "/") ?? own.startIndex)] + "/sidekick"
        }
    }

    static func readLink(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Processes whose command line or environment names the member.
    static func processes(naming member: Member) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        let needle = Array(member.name.rawValue.utf8)
        return names.compactMap { Int32($0) }.filter { pid in
            guard pid != getpid(), !isZombie(pid) else { return false }
            return ["cmdline", "environ"].contains { file in
                guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/\(file)") else { return false }
                return bytes.firstRange(of: needle) != nil
            }
        }
    }

    /// Processes with that text anywhere in their arguments.
    static func processes(mentioning text: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { pid in
            let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
            return pid != getpid() && !isZombie(pid) && bytes.firstRange(of: Array(text.utf8)) != nil
        }
    }

    static func processes(withArgument argument: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { pid in
            let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
            // The last argument and nothing else: a shell that only quotes it is another process.
            return !isZombie(pid) && bytes.split(separator: 0).last?.elementsEqual(argument.utf8) == true
        }
    }

    /// A process that is nobody's child, with that home.
    static func spawnOrphan(_ arguments: [String], home: String) -> Bool {
        // The shell ends at once, so its child has no parent of ours.
        let words = ["/bin/sh", "-c", "\"$@\" </dev/null >/dev/null 2>&1 &", "sh"] + arguments
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = [strdup("HOME=\(home)"), nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        guard posix_spawn(&pid, "/bin/sh", nil, nil, &argv, &envp) == 0 else { return false }
        var status: Int32 = 0
        return waitpid(pid, &status, 0) == pid && status == 0
    }

    static func isZombie(_ pid: Int32) -> Bool {
        guard let stat = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return true }
        return String(decoding: stat, as: UTF8.self).split(separator: ")").last?.hasPrefix(" Z") ?? true
    }
}

/// Looks until it holds, for at most `limit`; the world behind a runtime is real.
func eventually(
    _ limit: Duration = .seconds(60), sourceLocation: SourceLocation = #_sourceLocation,
    _ holds: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if try await holds() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("it did not come true within \(limit)", sourceLocation: sourceLocation)
}
