import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// The supervised servers of the compute (contract §1.10).
final class ServerService: Sendable {
    /// What they say is kept, see `MemoryShares`.
    static let maxServers = 32
    /// Mostly the process is there, or has failed to start, within milliseconds.
    static let startWait: Duration = .seconds(1)
    /// Beyond the stop timeout of a server: to kill, and to see it gone.
    private static let stopGrace: Duration = .seconds(10)

    /// One that is being created, and has its slug already.
    enum Pending {
        /// Whether it can be.
        case checked(ServerDefinition)
        /// Among those on the disk; nothing of it runs yet.
        case recorded(ServerStore.Stored)

        var definition: ServerDefinition {
            switch self {
            case .checked(let definition): definition
            case .recorded(let stored): stored.definition
            }
        }
    }

    struct State {
        var servers: [String: ServerSupervisor] = [:]
        var pending: [String: Pending] = [:]
        var isShutDown = false
    }

    let launcher: ProcessLauncher
    let threads: ScanThreads
    let broker: EventBroker
    let signals: SignalService
    let monitor: PortMonitor
    let overlays: any ServerOverlays
    /// Of each stream of each.
    let keptLogBytes: Int
    let clocks: ServerClocks
    let store: Mutex<ServerStore>
    let state = Mutex(State())

    init(
        launcher: ProcessLauncher, threads: ScanThreads, broker: EventBroker, signals: SignalService,
        monitor: PortMonitor, overlays: any ServerOverlays, stateDirectory: String, keptLogBytes: Int,
        clocks: ServerClocks = ServerClocks()
    ) {
        self.launcher = launcher
        self.threads = threads
        self.broker = broker
        self.signals = signals
        self.monitor = monitor
        self.overlays = overlays
        self.keptLogBytes = keptLogBytes
        self.clocks = clocks
        store = Mutex(ServerStore(stateDirectory: stateDirectory))
        monitor.observe { [weak self] listeners in
            self?.all.map { $0.observed(listeners) }.max() ?? .none
        }
    }

    var all: [ServerSupervisor] { state.withLock { Array($0.servers.values) } }

    func list() -> [ServerRecord] { all.map(\.record).sorted { $0.definition.slug < $1.definition.slug } }

    func get(_ slug: String) throws(Problem) -> ServerRecord { try server(slug).record }

    private func server(_ slug: String) throws(Problem) -> ServerSupervisor {
        guard let server = state.withLock({ $0.servers[slug] }) else { throw .notFound("there is no server \(slug)") }
        return server
    }

    // MARK: - In use

    /// Returns when nothing of it runs any more.
    func stop(_ slug: String) async throws {
        let server = try server(slug)
        try tell(server, .stopRequested(.stop))
        try await wait(for: server) { $0.isSettled }
    }

    /// Returns when nothing of it runs any more and its definition is gone from the disk.
    func delete(_ slug: String) async throws {
        let server = try server(slug)
        try tell(server, .stopRequested(.delete))
        try await wait(for: server) { $0.phase == .deleted }
        try await save()
    }

    /// Those that work in a directory or below it. All of them at once: each may take its time.
    /// - Throws: what kept one of them from being deleted, once all others are.
    func deleteAll(in directory: String) async throws {
        let slugs = list().filter { "\($0.definition.directory)/".hasPrefix("\(directory)/") }.map(\.definition.slug)
        let problems = await withTaskGroup(of: (any Error)?.self) { group in
            for slug in slugs {
                group.addTask {
                    do { try await self.delete(slug) } catch { return error }
                    return nil
                }
            }
            return await group.reduce(into: [any Error]()) { problems, error in if let error { problems.append(error) }
            }
        }
        // Who is not there any more was deleted by somebody else.
        if let problem = problems.first(where: { ($0 as? Problem)?.status != 404 }) { throw problem }
    }

    func restart(_ slug: String) async throws -> ServerRecord {
        let server = try server(slug)
        try tell(server, .stopRequested(.restart))
        try await wait(for: server) { !$0.isLaunching && !$0.isClosing }
        return server.record
    }

    /// `PATCH …/status`: what is to be, or for `ready` and `failed`, what its client knows of it.
    func declare(_ status: ServerMachine.Status, _ slug: String) async throws -> ServerRecord {
        let server = try server(slug)
        switch status {
        case .running, .starting: try tell(server, .startRequested)
        case .stopped: try tell(server, .stopRequested(.stop))
        case .restarting: try tell(server, .stopRequested(.restart))
        case .failed: try tell(server, .stopRequested(.fail("declared as failed")))
        case .ready:
            guard case .running(_, .start) = server.machine.phase else {
                throw Problem(
                    status: 409, code: .conflict, message: "the server \(slug) does not run", field: "status")
            }
            try tell(server, .declaredReady)
        case .installing: throw Problem.invalid("status", "status cannot be set to installing")
        }
        try await wait(for: server) { !$0.isLaunching && !$0.isClosing }
        return server.record
    }

    static let isShutDown = Problem.unavailable("the Sidekick is shutting down")

    func tell(_ server: ServerSupervisor, _ request: ServerMachine.Fact) throws(Problem) {
        guard server.deliver(request) else {
            throw Problem(
                status: 409, code: .conflict, message: "the server \(server.definition.slug) is being created again")
        }
        // Looked at afterwards: either `shutdown` comes later and ends what this started, or this does.
        if state.withLock({ $0.isShutDown }) {
            server.deliver(.stopRequested(.stop))
            throw Self.isShutDown
        }
    }

    private func wait(
        for server: ServerSupervisor, until condition: @escaping @Sendable (ServerMachine) -> Bool
    ) async throws(Problem) {
        let limit = Duration.milliseconds(server.definition.stopTimeoutMilliseconds) + Self.stopGrace
        guard await server.wait(atMost: limit, until: condition) else {
            throw .unavailable("the server \(server.definition.slug) has not ended yet")
        }
    }

    func log(
        _ slug: String, _ stream: ServerLog.Stream, since offset: Int?, tail: Int?
    ) throws(Problem) -> OutputText {
        guard let text = try server(slug).log.read(stream, since: offset, tail: tail) else {
            throw .notFound("there is no server \(slug)")
        }
        return text
    }

    /// Nothing is started any more; what runs is told to end. Definitions stay on the disk.
    func shutdown() {
        state.withLock { $0.isShutDown = true }
        for server in all { server.deliver(.stopRequested(.stop)) }
    }

}

extension ServerMachine {
    var isLaunching: Bool {
        guard case .launching = phase else { return false }
        return true
    }

    var isClosing: Bool {
        guard case .closing = phase else { return false }
        return true
    }
}
