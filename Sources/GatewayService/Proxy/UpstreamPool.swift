import ComputeCore
import HTTPServing
import Synchronization

/// Whose server a connection leads to. Connections are never shared between owners: a smuggled request or a
/// confused answer on one stays with the compute that caused it.
enum UpstreamOwner: Hashable, Sendable {
    case api
    case compute(ComputeID, Generation)
    /// A port of a compute, for those without a token of it: all that is open there ends when the port becomes private.
    case visitors(ComputeID, Generation, port: Int)
}

/// Connections to the servers behind us, idle and in use.
final class UpstreamPool: Sendable {
    struct Lease: Sendable {
        let connection: HTTPClientConnection
        let owner: UpstreamOwner
        let endpoint: Endpoint
        /// It carried requests before, so the server may have closed it while ours was on its way.
        let isUsed: Bool
    }

    private struct Idle {
        let connection: HTTPClientConnection
        let since: ContinuousClock.Instant
    }
    private struct Place: Hashable {
        let owner: UpstreamOwner
        let endpoint: Endpoint
    }
    private struct State {
        var idle: [Place: [Idle]] = [:]
        var busy: [UpstreamOwner: [ObjectIdentifier: HTTPClientConnection]] = [:]
    }

    private let state = Mutex(State())
    /// Well below the 120 s after which our own servers close an idle connection, so that we are first.
    private let idleLimit: Duration = .seconds(30)
    /// A burst's connections go back to this many; more would only hold descriptors.
    private let maxIdlePerPlace = 16

    /// An idle connection to that server, or a new one.
    func lease(
        _ owner: UpstreamOwner, at endpoint: Endpoint, mayReuse: Bool, dialTimeout: Duration
    ) async throws -> Lease {
        let now = ContinuousClock.now
        let pooled = state.withLock { state -> HTTPClientConnection? in
            guard mayReuse else { return nil }
            let place = Place(owner: owner, endpoint: endpoint)
            while let idle = state.idle[place]?.popLast() {
                guard idle.connection.isReusable, now - idle.since < idleLimit else { continue }
                state.busy[owner, default: [:]][ObjectIdentifier(idle.connection)] = idle.connection
                return idle.connection
            }
            return nil
        }
        if let pooled { return Lease(connection: pooled, owner: owner, endpoint: endpoint, isUsed: true) }
        let connection = try await HTTPClientConnection.connect(to: endpoint, timeout: dialTimeout)
        state.withLock { $0.busy[owner, default: [:]][ObjectIdentifier(connection)] = connection }
        return Lease(connection: connection, owner: owner, endpoint: endpoint, isUsed: false)
    }

    /// Keeps the connection for the next request when it can carry one; closes it otherwise.
    func release(_ lease: Lease) async {
        let reusable = lease.connection.isReusable
        let kept = state.withLock { state -> Bool in
            // Not among the busy ones any more: its owner was closed meanwhile.
            guard Self.forget(lease, in: &state), reusable else { return false }
            let place = Place(owner: lease.owner, endpoint: lease.endpoint)
            guard state.idle[place, default: []].count < maxIdlePerPlace else { return false }
            state.idle[place, default: []].append(Idle(connection: lease.connection, since: .now))
            return true
        }
        if !kept { await lease.connection.close() }
    }

    func discard(_ lease: Lease) async {
        _ = state.withLock { Self.forget(lease, in: &$0) }
        await lease.connection.close()
    }

    private static func forget(_ lease: Lease, in state: inout State) -> Bool {
        let known = state.busy[lease.owner]?.removeValue(forKey: ObjectIdentifier(lease.connection)) != nil
        if state.busy[lease.owner]?.isEmpty == true { state.busy[lease.owner] = nil }
        return known
    }

    /// Closes what leads to a compute's generations below the given one, or to all of them, requests and
    /// tunnels under way included: its address may be another's a moment later.
    func close(_ id: ComputeID, below generation: Generation?) {
        let isStale = { (owner: UpstreamOwner) -> Bool in
            switch owner {
            case .compute(id, let own), .visitors(id, let own, _): generation.map { own < $0 } ?? true
            case .api, .compute, .visitors: false
            }
        }
        closeAll(where: isStale)
    }

    /// Closes what visitors have open at ports of a compute that are private.
    func closeVisitors(of id: ComputeID, _ access: PortAccess) {
        closeAll { owner in
            if case .visitors(id, _, let port) = owner { access.isPrivate(port) } else { false }
        }
    }

    private func closeAll(where isStale: (UpstreamOwner) -> Bool) {
        close(
            state.withLock { state in
                var closing: [HTTPClientConnection] = []
                for place in state.idle.keys where isStale(place.owner) {
                    closing += (state.idle.removeValue(forKey: place) ?? []).map(\.connection)
                }
                for owner in state.busy.keys where isStale(owner) {
                    closing += (state.busy.removeValue(forKey: owner) ?? [:]).values
                }
                return closing
            })
    }

    /// Closes connections that have been idle for long, until cancelled; then all idle ones.
    func run() async {
        while (try? await Task.sleep(for: .seconds(10))) != nil { closeIdle(olderThan: idleLimit) }
        closeIdle(olderThan: .zero)
    }

    private func closeIdle(olderThan limit: Duration) {
        let now = ContinuousClock.now
        close(
            state.withLock { state in
                var closing: [HTTPClientConnection] = []
                for (place, connections) in state.idle {
                    let kept = connections.filter { now - $0.since < limit && $0.connection.isReusable }
                    closing += connections.filter { old in !kept.contains { $0.connection === old.connection } }
                        .map(\.connection)
                    state.idle[place] = kept.isEmpty ? nil : kept
                }
                return closing
            })
    }

    /// Closing waits for the socket's event loop and can fail no more; nobody needs its end.
    private func close(_ connections: [HTTPClientConnection]) {
        for connection in connections { Task { await connection.close() } }
    }
}
