import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// The supervised servers of the compute (contract §1.10).
final class ServerService: Sendable {
    /// What they say is kept, see `MemoryShares`.
    static let maxServers = 32
    /// Mostly the process is there, or has failed to start, within milliseconds.
    private static let startWait: Duration = .seconds(1)
    /// Beyond the stop timeout of a server: to kill, and to see it gone.
    private static let stopGrace: Duration = .seconds(10)

    private struct State {
        var servers: [String: ServerSupervisor] = [:]
        /// Being created or recorded.
        var pending: [String: ServerStore.Stored] = [:]
        var isShutDown = false
    }

    private let launcher: ProcessLauncher
    private let threads: ScanThreads
    private let broker: EventBroker
    private let signals: SignalService
    private let monitor: PortMonitor
    private let overlays: any ServerOverlays
    /// Of each stream of each.
    private let keptLogBytes: Int
    private let store: Mutex<ServerStore>
    private let state = Mutex(State())

    init(
        launcher: ProcessLauncher, threads: ScanThreads, broker: EventBroker, signals: SignalService,
        monitor: PortMonitor, overlays: any ServerOverlays, stateDirectory: String, keptLogBytes: Int
    ) {
        self.launcher = launcher
        self.threads = threads
        self.broker = broker
        self.signals = signals
        self.monitor = monitor
        self.overlays = overlays
        self.keptLogBytes = keptLogBytes
        store = Mutex(ServerStore(stateDirectory: stateDirectory))
        monitor.observe { [weak self] listeners in
            self?.all.map { $0.observed(listeners) }.max() ?? .none
        }
    }

    private var all: [ServerSupervisor] { state.withLock { Array($0.servers.values) } }

    func list() -> [ServerRecord] { all.map(\.record).sorted { $0.definition.slug < $1.definition.slug } }

    func get(_ slug: String) throws(Problem) -> ServerRecord { try server(slug).record }

    private func server(_ slug: String) throws(Problem) -> ServerSupervisor {
        guard let server = state.withLock({ $0.servers[slug] }) else { throw .notFound("there is no server \(slug)") }
        return server
    }

    // MARK: - Create

    /// Records the server, then starts it. Returns when its process runs or has failed to start, or when that has to
    /// wait for something.
    func create(_ order: ServerOrder, in compute: ComputeContext) async throws -> ServerRecord {
        var definition = order.definition
        let slug = definition.slug
        let replaced = try reserve(definition)
        var isRecorded = false
        do {
            if order.overlays.isEmpty { try await checkFiles(definition) }
            if definition.strictPort, let port = definition.port,
                ServerPorts.choose(asked: port, strict: true, taken: await takenPorts(besides: slug)) == nil
            {
                throw Problem(status: 409, code: .conflict, message: "port \(port) is taken", field: "port")
            }
            for overlay in order.overlays {
                definition.dependsOn.append(try await overlays.create(overlay, in: compute))
            }
            let now = SystemWallClock().now()
            state.withLock {
                $0.pending[slug] = ServerStore.Stored(definition: definition, isInstalled: false, createdAt: now)
            }
            try await save()
            isRecorded = true
            // In one step, also with `forget`: its log takes the channel over from the one that it replaces.
            let created = state.withLock { state -> ServerSupervisor? in
                guard !state.isShutDown else { return nil }
                let server = supervisor(definition, isInstalled: false, createdAt: now, in: compute)
                state.pending[slug] = nil
                state.servers[slug] = server
                return server
            }
            guard let server = created else { throw Self.isShutDown }
            try tell(server, .startRequested)
            // Whoever takes longer is shown as it is by then.
            _ = await server.wait(atMost: Self.startWait) { !$0.isLaunching }
            return server.record
        } catch {
            state.withLock { $0.pending[slug] = nil }
            replaced?.reinstate()
            if isRecorded { try? await save() }
            throw error
        }
    }

    private static let isShutDown = Problem.unavailable("the Sidekick is shutting down")

    /// - Returns: the one that had the slug. It is shown until the new one is there, but nothing starts it any more.
    private func reserve(_ definition: ServerDefinition) throws(Problem) -> ServerSupervisor? {
        let slug = definition.slug
        let (replaced, problem) = state.withLock { state -> (ServerSupervisor?, Problem?) in
            if let problem = self.problem(with: definition, state) { return (nil, problem) }
            let replaced = state.servers[slug]
            if let replaced, !replaced.retire() { return (nil, Self.isThere(slug)) }
            state.pending[slug] = ServerStore.Stored(
                definition: definition, isInstalled: false, createdAt: WallTime(milliseconds: 0))
            return (replaced, nil)
        }
        if let problem { throw problem }
        return replaced
    }

    private static func isThere(_ slug: String) -> Problem {
        Problem(
            status: 409, code: .conflict, message: "the server \(slug) is there already; stop it first", field: "slug")
    }

    private func problem(with definition: ServerDefinition, _ state: borrowing State) -> Problem? {
        let slug = definition.slug
        guard !state.isShutDown else { return Self.isShutDown }
        if state.pending[slug] != nil || state.servers[slug].map({ !$0.machine.isSettled }) == true {
            return Self.isThere(slug)
        }
        let names = Set(state.servers.keys).union(state.pending.keys)
        guard names.contains(slug) || names.count < Self.maxServers else {
            return .unavailable("there are \(Self.maxServers) servers; delete one first")
        }
        for name in definition.dependsOn
        where name != slug && !names.contains(name) && overlays.readiness(of: name) == nil {
            return .invalid("depends_on", "depends_on: there is no server or overlay \(name)")
        }
        var edges = state.servers.mapValues(\.definition.dependsOn)
        edges.merge(state.pending.mapValues(\.definition.dependsOn)) { _, new in new }
        edges[slug] = definition.dependsOn
        if let cycle = DependencyGraph.cycle(from: slug, edges) {
            return .invalid("depends_on", "depends_on goes in a circle: \(cycle.joined(separator: " → "))")
        }
        return nil
    }

    /// What will not be there at the start either.
    private func checkFiles(_ definition: ServerDefinition) async throws {
        try await threads.asUser {
            let isDirectory: Bool
            do throws(LinuxSystemError) {
                isDirectory = try FileTree.status(definition.directory).isDirectory
            } catch {
                throw Problem.invalid("path", "path \(definition.directory): \(error.reason)")
            }
            guard isDirectory else {
                throw Problem.invalid("path", "path \(definition.directory) is not a directory")
            }
            // The install step may make it.
            guard let file = definition.envFile, definition.install == nil else { return }
            _ = try ServerEnvFile.read(try FilePath(file, directory: definition.directory).absolute)
        }
    }

    private func supervisor(
        _ definition: ServerDefinition, isInstalled: Bool, createdAt: WallTime, in compute: ComputeContext
    ) -> ServerSupervisor {
        ServerSupervisor(
            definition, isInstalled: isInstalled, createdAt: createdAt,
            log: ServerLog(slug: definition.slug, broker: broker, keptBytes: keptLogBytes),
            surroundings: ServerSupervisor.Surroundings(
                launcher: launcher, threads: threads, signals: signals, compute: compute,
                choosePort: { [weak self] in await self?.choosePort(for: $0) },
                dependencies: { [weak self] in self?.dependencies(of: $0) ?? .pending },
                changed: { [weak self] in self?.changed() },
                installed: { [weak self] in
                    // At the edge: it is only spared the next time.
                    Task { try? await self?.save() }
                },
                forgotten: { [weak self] in self?.forget($0) }))
    }

    // MARK: - Again after a start of the Sidekick

    /// Takes up what an earlier process over the same state directory supervised.
    func resume(in compute: ComputeContext) async {
        guard let stored = try? await threads.asOurselves({ self.store.withLock { $0.load() } }) else { return }
        let servers = stored.map {
            supervisor($0.definition, isInstalled: $0.isInstalled, createdAt: $0.createdAt, in: compute)
        }
        state.withLock { state in
            for server in servers where state.servers[server.definition.slug] == nil {
                state.servers[server.definition.slug] = server
            }
        }
        for server in servers where server.definition.autostart { try? tell(server, .startRequested) }
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

    private func tell(_ server: ServerSupervisor, _ request: ServerMachine.Fact) throws(Problem) {
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

    // MARK: - Between servers

    /// An overlay that servers may wait for is ready now, or never will be.
    func dependenciesChanged() { changed() }

    private func changed() {
        monitor.wake()
        for server in all where server.machine.phase == .waiting {
            server.deliver(.dependencies(dependencies(of: server.definition)))
        }
    }

    private func dependencies(of definition: ServerDefinition) -> ServerMachine.Dependencies {
        let servers = state.withLock { $0.servers }
        var isPending = false
        for name in definition.dependsOn {
            if let machine = servers[name]?.machine {
                if machine.phase == .failed { return .failed("it depends on \(name), which has failed") }
                // It was there to do something, and has done it.
                if machine.phase == .stopped, machine.exit == .exited(0), !machine.definition.showsReadiness {
                    continue
                }
                isPending = isPending || !machine.isUp
                continue
            }
            switch overlays.readiness(of: name) {
            case .ready?: continue
            case .pending?: isPending = true
            case .failed(let reason)?: return .failed("it depends on \(name): \(reason)")
            case nil: return .failed("it depends on \(name), which is gone")
            }
        }
        return isPending ? .pending : .met
    }

    /// Listened on, or told to others.
    private func takenPorts(besides slug: String) async -> Set<Int> {
        let listening = await monitor.takenPorts()
        return state.withLock { listening.union(Self.reservedPorts(besides: slug, $0)) }
    }

    private static func reservedPorts(besides slug: String, _ state: State) -> [Int] {
        state.servers.values.compactMap { $0.definition.slug == slug ? nil : $0.reservedPort }
    }

    private func choosePort(for server: ServerSupervisor) async -> Int? {
        let definition = server.definition
        let listening = await monitor.takenPorts()
        // Chosen and reserved in one step, so that no two are told the same.
        return state.withLock { state in
            let port = ServerPorts.choose(
                asked: definition.port, strict: definition.strictPort,
                taken: listening.union(Self.reservedPorts(besides: definition.slug, state)))
            if let port { server.reserve(port) }
            return port
        }
    }

    private func forget(_ server: ServerSupervisor) {
        state.withLock { state in
            // Else both the slug and the channel are another's by now.
            guard state.servers[server.definition.slug] === server else { return }
            state.servers[server.definition.slug] = nil
            server.log.forget()
        }
        changed()
    }

    /// Returns when what is there now is on the disk.
    private func save() async throws {
        try await threads.asOurselves {
            // One at a time, so a later state never comes before an earlier one.
            try self.store.withLock { store in
                let stored = self.state.withLock { state in
                    var stored = state.servers.mapValues(\.stored)
                    // One that is only being checked has no time yet.
                    for (slug, server) in state.pending where server.createdAt.milliseconds > 0 {
                        stored[slug] = server
                    }
                    return stored.values.sorted { $0.definition.slug < $1.definition.slug }
                }
                try store.save(stored)
            }
        }
    }
}

extension ServerMachine {
    fileprivate var isLaunching: Bool {
        guard case .launching = phase else { return false }
        return true
    }

    fileprivate var isClosing: Bool {
        guard case .closing = phase else { return false }
        return true
    }
}

// MARK: - For others

extension ServerService {
    /// Ready: every server that starts by itself has its port.
    var readiness: Readiness {
        let records = list()
        let health = records.compactMap { $0.machine.health?.isHealthy }
        return Readiness(
            isReady: records.allSatisfy { !$0.definition.autostart || $0.machine.hasPort },
            isHealthy: health.allSatisfy { $0 }, members: ["servers": .array(records.map { .object($0.readiness) })])
    }

    var counts: [ServerMachine.Status: Int] {
        Dictionary(grouping: list().map(\.machine.status)) { $0 }.mapValues(\.count)
    }
}
