import Glibc
import LinuxSystem
import Synchronization

/// Watches which ports are listened on, as long as somebody wants to know. Shell of `PortTable`.
///
/// The kernel tells nobody when a socket begins to listen, so its tables are read again and again; nothing is read
/// while nobody asks.
package final class PortMonitor: Sendable {
    /// How soon a change has to be known.
    package enum Demand: Int, Comparable, Sendable {
        case none
        /// Nothing is expected: servers run and listen.
        case calm
        /// Somebody listens to signals.
        case prompt
        /// A server has been started and its port is awaited.
        case eager

        package static func < (a: Demand, b: Demand) -> Bool { a.rawValue < b.rawValue }

        /// Reading both tables takes a tenth of a millisecond, in a sandbox up to one.
        var interval: Duration {
            switch self {
            case .none, .calm: .seconds(1)
            case .prompt: .milliseconds(250)
            case .eager: .milliseconds(100)
            }
        }
    }

    private struct State: ~Copyable {
        var table: PortTable
        var isRunning = false
        /// How often somebody has woken us.
        var wakes = 0
        var sleeper: Task<Void, Never>?
        var isShutDown = false
        var observers: [@Sendable ([PortListener]) -> Demand] = []
    }

    private let threads: ScanThreads
    private let state: Mutex<State>

    package init(threads: ScanThreads) {
        self.threads = threads
        state = Mutex(State(table: PortTable(own: getpid(), isWhole: getpid() == 1)))
    }

    /// - Parameter observer: is told all listeners after each reading, and says how soon the next one is needed.
    package func observe(_ observer: @escaping @Sendable ([PortListener]) -> Demand) {
        state.withLock { $0.observers.append(observer) }
    }

    /// Somebody may want to know more from now on: the observers are asked.
    package func wake() {
        let starts = state.withLock { state in
            state.wakes += 1
            state.sleeper?.cancel()
            guard !state.isRunning, !state.isShutDown else { return false }
            state.isRunning = true
            return true
        }
        guard starts else { return }
        // At the shell's edge: it ends when no observer wants anything, and is started again when one does.
        Task { await self.watch() }
    }

    package func shutdown() {
        state.withLock { state in
            state.isShutDown = true
            state.sleeper?.cancel()
        }
    }

    /// What listens now.
    package func listeners() async -> [PortListener] {
        let needsLook = (try? await threads.asOurselves { self.list() }) ?? false
        if needsLook {
            let found = await owners()
            state.withLock { $0.table.looked(found) }
        }
        return state.withLock { $0.table.listeners }
    }

    /// Every listening port of this network namespace, also those that are not the compute's.
    package func takenPorts() async -> Set<Int> {
        (try? await threads.asOurselves { Set(SocketScan.listening().map(\.port)) }) ?? []
    }

    private func watch() async {
        while true {
            let (wakes, observers) = state.withLock { ($0.wakes, $0.observers) }
            let listeners = await listeners()
            let demand = observers.map { $0(listeners) }.max() ?? .none
            let sleeper = state.withLock { state -> Task<Void, Never>? in
                guard !state.isShutDown, demand != .none || wakes != state.wakes else {
                    state.isRunning = false
                    return nil
                }
                let sleeper = Task { _ = try? await Task.sleep(for: demand.interval) }
                // Somebody has woken us since the observers were asked.
                if wakes != state.wakes { sleeper.cancel() }
                state.sleeper = sleeper
                return sleeper
            }
            guard let sleeper else { return }
            await sleeper.value
        }
    }

    private func list() -> Bool {
        let sockets = SocketScan.listening()
        return state.withLock { $0.table.observed(sockets) { kill($0, 0) == 0 || errno == EPERM } }
    }

    private func owners() async -> [UInt64: PortOwner] {
        let first = try? await threads.asOurselves { () -> ([UInt64: PortOwner], [Int32: Int32]) in
            var sessions = Dictionary(Descendants.scan().map { ($0.pid, $0.line.session) }) { first, _ in first }
            sessions[getpid()] = getsid(0)
            return Self.look(sessions)
        }
        guard let (found, hidden) = first, threads.hasOtherUser, !hidden.isEmpty else { return first?.0 ?? [:] }
        let more = try? await threads.asUser { Self.look(hidden).found }
        return found.merging(more ?? [:]) { first, _ in first }
    }

    /// - Returns: also those processes that did not let us look.
    private static func look(_ sessions: [Int32: Int32]) -> (found: [UInt64: PortOwner], hidden: [Int32: Int32]) {
        var found: [UInt64: PortOwner] = [:]
        var hidden: [Int32: Int32] = [:]
        for (pid, session) in sessions.sorted(by: { $0.key < $1.key }) {
            do throws(LinuxSystemError) {
                for inode in try SocketScan.sockets(of: pid) where found[inode] == nil {
                    found[inode] = PortOwner(pid: pid, session: session)
                }
            } catch {
                if error.code != .notFound { hidden[pid] = session }
            }
        }
        return (found, hidden)
    }
}
