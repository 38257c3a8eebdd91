import ComputeCore
import LinuxSystem
import Synchronization

/// From the order to the running server.
extension ServerService {
    /// Records the server, then starts it. Returns when its process runs or has failed to start, or when that has to
    /// wait for something.
    func create(_ order: ServerOrder, in compute: ComputeContext) async throws -> ServerRecord {
        var definition = order.definition
        let slug = definition.slug
        let replaced = try reserve(definition)
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
            let now = clocks.wall.now()
            let stored = ServerStore.Stored(definition: definition, isInstalled: false, createdAt: now)
            state.withLock { $0.pending[slug] = .recorded(stored) }
            try await save()
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
            let last = state.withLock { $0.pending.removeValue(forKey: slug) }
            replaced?.reinstate()
            // Else it never was on the disk.
            switch last {
            case .recorded?: try? await save()
            case .checked?, nil: break
            }
            throw error
        }
    }

    /// - Returns: the one that had the slug. It is shown until the new one is there, but nothing starts it any more.
    private func reserve(_ definition: ServerDefinition) throws(Problem) -> ServerSupervisor? {
        let slug = definition.slug
        let (replaced, problem) = state.withLock { state -> (ServerSupervisor?, Problem?) in
            if let problem = self.problem(with: definition, state) { return (nil, problem) }
            let replaced = state.servers[slug]
            if let replaced, !replaced.retire() { return (nil, Self.isThere(slug)) }
            state.pending[slug] = .checked(definition)
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
            return .overQuota("there are \(Self.maxServers) servers; delete one first")
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
                // As who enters it does.
                if isDirectory { _ = try FileTree.status(definition.directory + "/.") }
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
}
