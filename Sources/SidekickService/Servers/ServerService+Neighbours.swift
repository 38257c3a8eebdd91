import ComputeCore
import LinuxSystem
import Synchronization

/// What servers are to each other: some wait for others, and no two get the same port.
extension ServerService {
    /// An overlay that servers may wait for is ready now, or never will be.
    func dependenciesChanged() { changed() }

    func changed() {
        monitor.wake()
        for server in all where server.machine.phase == .waiting {
            server.deliver(.dependencies(dependencies(of: server.definition)))
        }
    }

    func dependencies(of definition: ServerDefinition) -> ServerMachine.Dependencies {
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
    func takenPorts(besides slug: String) async -> Set<Int> {
        let listening = await monitor.takenPorts()
        return state.withLock { listening.union(Self.reservedPorts(besides: slug, $0)) }
    }

    static func reservedPorts(besides slug: String, _ state: State) -> [Int] {
        state.servers.values.compactMap { $0.definition.slug == slug ? nil : $0.reservedPort }
    }

    func choosePort(for server: ServerSupervisor) async -> Int? {
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
}
