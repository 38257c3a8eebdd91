import ComputeCore
import Synchronization

/// What is there and what is on the disk, which is what an earlier process over the same state directory has left.
extension ServerService {
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

    func supervisor(
        _ definition: ServerDefinition, isInstalled: Bool, createdAt: WallTime, in compute: ComputeContext
    ) -> ServerSupervisor {
        ServerSupervisor(
            definition, isInstalled: isInstalled, createdAt: createdAt,
            log: ServerLog(slug: definition.slug, broker: broker, keptBytes: keptLogBytes),
            surroundings: ServerSupervisor.Surroundings(
                launcher: launcher, threads: threads, signals: signals, compute: compute, clocks: clocks,
                choosePort: { [weak self] in await self?.choosePort(for: $0) },
                dependencies: { [weak self] in self?.dependencies(of: $0) ?? .pending },
                changed: { [weak self] in self?.changed() },
                installed: { [weak self] in
                    // At the edge: it is only spared the next time.
                    Task { try? await self?.save() }
                },
                forgotten: { [weak self] in self?.forget($0) }))
    }

    func forget(_ server: ServerSupervisor) {
        state.withLock { state in
            // Else both the slug and the channel are another's by now.
            guard state.servers[server.definition.slug] === server else { return }
            state.servers[server.definition.slug] = nil
            server.log.forget()
        }
        changed()
    }

    /// Returns when what is there now is on the disk.
    func save() async throws {
        try await threads.asOurselves {
            // One at a time, so a later state never comes before an earlier one.
            try self.store.withLock { store in
                let stored = self.state.withLock { state in
                    var stored = state.servers.mapValues(\.stored)
                    for case (let slug, .recorded(let server)) in state.pending { stored[slug] = server }
                    return stored.values.sorted { $0.definition.slug < $1.definition.slug }
                }
                try store.save(stored)
            }
        }
    }
}
