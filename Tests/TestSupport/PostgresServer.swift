import Foundation
import Glibc
package import PostgresClient
import Synchronization

/// A PostgreSQL server of a test's own, with Debian's binaries, on a Unix socket in a folder that goes away with it.
package final class PostgresServer: Sendable {
    package static let password = "pass/word:@ with %"

    /// Holds the data, the socket, the log.
    package let folder: String
    private let process = Mutex<pid_t?>(nil)
    private let databases = Mutex(0)

    /// Disks are not waited for: what tests do to a server is worse than what they do to a disk.
    private static let settings = [
        "fsync=off", "autovacuum=off", "max_connections=200", "shared_buffers=16MB", "log_min_messages=warning",
    ]

    private init(folder: String) { self.folder = folder }

    /// - Parameters:
    ///   - options: as `start` takes them.
    ///   - mebibytes: the size of a disk of its own, for root; nil: the machine's.
    package static func with(
        _ options: [String] = [], onDiskOf mebibytes: Int? = nil, _ run: (PostgresServer) async throws -> Void
    ) async throws {
        let folder = try await ServerFiles.copyOfTemplate(onDiskOf: mebibytes)
        let server = PostgresServer(folder: folder)
        defer {
            if mebibytes != nil { umount2(folder, Int32(MNT_DETACH)) }
            try? FileManager.default.removeItem(atPath: folder)
        }
        do {
            try await server.start(with: options)
            try await run(server)
            await server.stop()
        } catch {
            await server.kill()
            throw error
        }
    }

    /// The path of a program that comes with the server.
    package static func binary(_ name: String) throws -> String { try "\(ServerFiles.binaries())/\(name)" }

    /// The superuser, over the socket.
    package func configuration(database: String = "postgres", port: Int = 5432) -> PostgresConfiguration {
        PostgresConfiguration(host: folder, port: port, user: "computesdk", password: nil, database: database)
    }

    /// A new, empty database.
    package func freshDatabase() async throws -> PostgresConfiguration {
        let number = databases.withLock { count in
            count += 1
            return count
        }
        let name = "test\(number)"
        try await run("CREATE DATABASE \(name)")
        return configuration(database: name)
    }

    package func run(_ sql: String, in configuration: PostgresConfiguration? = nil) async throws {
        var configured = configuration ?? self.configuration()
        configured.deadline = .seconds(30)
        try await offThread { [configuration = configured] in
            let deadline = ContinuousClock.now + .seconds(30)
            try PostgresConnection.open(configuration, until: deadline).run(script: sql, until: deadline)
        }
    }

    // MARK: - The process

    /// - Parameters:
    ///   - options: `name=value` of postgresql.conf. Without `listen_addresses` there is only the socket.
    ///   - port: what the options say of it.
    package func start(with options: [String] = [], port: Int = 5432) async throws {
        var arguments = ["postgres", "-D", "\(folder)/data", "-k", folder]
        for option in Self.settings + ["listen_addresses="] + options { arguments += ["-c", option] }
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let started = try ServerFiles.spawn(arguments, log: "\(folder)/log")
            process.withLock { $0 = started }
            // It ends at once while what it left in memory is still in use.
            while waitpid(started, nil, WNOHANG) == 0 {
                let configuration = configuration(port: port)
                if await isUp(configuration) { return }
                try await Task.sleep(for: .milliseconds(20))
                guard ContinuousClock.now < deadline else { break }
            }
            process.withLock { $0 = nil }
        }
        let log = (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? ""
        throw ContractViolation(description: "the server did not start: \(log.suffix(1000))")
    }

    private func isUp(_ configuration: PostgresConfiguration) async -> Bool {
        (try? await offThread {
            _ = try PostgresConnection.open(configuration, until: .now + .seconds(5))
        }) != nil
    }

    /// In order; every connection ends.
    package func stop() async { await end(SIGINT) }

    /// `kill -9` of all of its processes.
    package func kill() async {
        signalAll(SIGKILL)
        await end(SIGKILL)
    }

    /// SIGSTOP, SIGCONT or SIGKILL, to every process of it.
    package func signalAll(_ signal: Int32) {
        guard let server = process.withLock({ $0 }) else { return }
        // It stands still first: a connection that came meanwhile would have a process that is in no list.
        Glibc.kill(server, SIGSTOP)
        // The signal is on its way only: until it has arrived, another one may be made.
        for _ in 0..<1000 where !ServerFiles.standsStill(server) { usleep(1000) }
        for process in ServerFiles.children(of: server) + [server] { Glibc.kill(process, signal) }
    }

    private func end(_ signal: Int32) async {
        let ended = process.withLock { process in
            defer { process = nil }
            return process
        }
        guard let ended else { return }
        Glibc.kill(ended, signal)
        _ = try? await offThread { waitpid(ended, nil, 0) }
    }
}

private func offThread<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result(catching: work)) }
    }
}

/// The binaries and a data folder that was initialized once per test process.
private enum ServerFiles {
    /// PostgreSQL refuses to run as root.
    private static let account = "postgres"
    private static let isRoot = geteuid() == 0

    private static let template = Task<String, any Error> {
        let folder = try makeFolder()
        atexit_b { try? FileManager.default.removeItem(atPath: folder) }
        try Data(PostgresServer.password.utf8).write(to: URL(fileURLWithPath: "\(folder)/password"))
        try await run(
            [
                "initdb", "-D", "\(folder)/data", "-U", "computesdk", "-E", "UTF8", "--locale=C", "--no-sync",
                "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile=\(folder)/password",
            ], log: "\(folder)/log")
        return folder
    }

    static func copyOfTemplate(onDiskOf mebibytes: Int?) async throws -> String {
        let template = try await template.value
        let folder = try makeFolder(onDiskOf: mebibytes)
        try await run(["cp", "-a", "\(template)/data", folder], log: "\(folder)/log")
        return folder
    }

    /// Below /tmp, because the path of a socket is short.
    private static func makeFolder(onDiskOf mebibytes: Int? = nil) throws -> String {
        let folder = "/tmp/pgtest-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        if let mebibytes, mount("test", folder, "tmpfs", 0, "size=\(mebibytes)m") != 0 {
            throw ContractViolation(description: "no disk for the server: \(String(cString: strerror(errno)))")
        }
        if isRoot { try FileManager.default.setAttributes([.ownerAccountName: account], ofItemAtPath: folder) }
        return folder
    }

    private static func run(_ command: [String], log: String) async throws {
        let process = try spawn(command, log: log)
        let status = try await offThread {
            var status: Int32 = 0
            waitpid(process, &status, 0)
            return status
        }
        guard status == 0 else {
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw ContractViolation(description: "\(command[0]) failed: \(text)")
        }
    }

    static func spawn(_ command: [String], log: String) throws -> pid_t {
        var arguments = command
        if command[0] != "cp" { arguments[0] = try "\(binaries())/\(command[0])" }
        if isRoot { arguments = ["setpriv", "--reuid", account, "--regid", account, "--clear-groups"] + arguments }
        let pointers = arguments.map { strdup($0) } + [nil]
        let variables: [String] = ["PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C", "TZ=UTC"]
        let environment = variables.map { strdup($0) } + [nil]
        defer { for pointer in pointers + environment { free(pointer) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o666)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var process: pid_t = 0
        let failure = posix_spawnp(&process, arguments[0], &actions, nil, pointers, environment)
        guard failure == 0 else {
            throw ContractViolation(description: "\(arguments[0]): \(String(cString: strerror(failure)))")
        }
        return process
    }

    static func binaries() throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap { Int($0) }
        guard let newest = versions.max() else {
            throw ContractViolation(description: "no PostgreSQL: run scripts/install-packages test")
        }
        return "\(root)/\(newest)/bin"
    }

    /// Stopped, or over.
    static func standsStill(_ process: pid_t) -> Bool {
        guard let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
            let state = stat.split(separator: ")").last?.split(separator: " ").first
        else { return true }
        return state == "T" || state == "Z"
    }

    static func children(of parent: pid_t) -> [pid_t] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }.filter { pid in
            let stat = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
            let afterName = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
            return afterName.count > 2 && pid_t(afterName[2]) == parent
        }
    }
}

private func atexit_b(_ run: @escaping @Sendable () -> Void) {
    AtExit.actions.withLock { $0.append(run) }
    _ = AtExit.registered
}

private enum AtExit {
    static let actions = Mutex<[@Sendable () -> Void]>([])
    static let registered: Void = { atexit { for run in AtExit.actions.withLock({ $0 }) { run() } } }()
}
