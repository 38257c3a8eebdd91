import Synchronization

/// Carries events from whoever makes them to the connections of `/ws`. The shell of `EventHub`.
package final class EventBroker: Sendable {
    private struct State: ~Copyable {
        var hub: EventHub
        /// Connections that wait for their next event.
        var waiting: [EventHub.ConnectionID: CheckedContinuation<Void, Never>] = [:]
    }

    private let state: Mutex<State>

    package init(_ shares: MemoryShares = MemoryShares(memoryLimit: nil)) {
        state = Mutex(State(hub: EventHub(maxLingeringBytes: shares.lingering)))
    }

    // MARK: Whoever makes events

    /// From now on the channel can be subscribed to.
    /// - Parameter format: nil: a channel of events, without output.
    package func open(_ channel: String, _ format: OutputFormat? = nil) {
        state.withLock { $0.hub.opened(channel, format) }
    }

    /// Never waits: it is kept as far as there is room, and who reads too slowly misses the oldest.
    package func append(_ bytes: UnsafeRawBufferPointer, to channel: String, stream: Int = 0) {
        perform { $0.output(channel, stream: stream, bytes) }
    }

    /// Whether somebody who watches may soon miss some.
    package func isBehind(_ channel: String) -> Bool { state.withLock { $0.hub.isBehind(channel) } }

    /// No more output will come. Subscribers get `ending` after the last of it.
    package func end(_ channel: String, _ ending: SocketEvent) { perform { $0.ended(channel, ending) } }

    /// What is kept of it goes, and nobody can subscribe any more.
    package func forget(_ channel: String) { perform { $0.forgotten(channel) } }

    /// It has ended, and is forgotten soon: within half a minute, or when many others linger.
    /// - Parameter forReadersOnly: nobody else can subscribe, and it goes once they have read it.
    package func linger(_ channel: String, forReadersOnly: Bool) {
        let isLingering = perform { state in
            (state.hub.lingers(channel, forReadersOnly: forReadersOnly), state.hub.isLingering(channel))
        }
        guard isLingering else { return }
        // At a shell's edge: it ends by itself after one sleep.
        Task {
            try? await Task.sleep(for: Self.longestLingering)
            self.perform { $0.lingeringIsOver(channel) }
        }
    }

    private static let longestLingering: Duration = .seconds(30)

    /// - Parameter isDroppable: one of many; a connection that does not read loses it and is told of the gap.
    package func publish(
        _ event: SocketEvent, to audience: EventHub.Audience = .subscribers, isDroppable: Bool = false
    ) {
        perform { $0.published(event, to: audience, isDroppable: isDroppable) }
    }

    /// What is kept of a stream, from an offset on, and whether nothing will ever follow. nil: there is no such channel.
    package func kept(_ channel: String, stream: Int = 0, from offset: Int = 0, upTo limit: Int = .max)
        -> (piece: OutputRing.Piece, isLast: Bool)?
    {
        state.withLock { $0.hub.kept(channel, stream: stream, from: offset, upTo: limit) }
    }

    package func footprint(of channel: String) -> Int { state.withLock { $0.hub.footprint(channel) } }

    /// For metrics: open connections, and the bytes of output that they were too slow for.
    package var figures: (connections: Int, droppedBytes: Int) {
        state.withLock { ($0.hub.connectionCount, $0.hub.droppedBytes) }
    }

    // MARK: Connections

    /// - Returns: nil when there are too many.
    package func connect() -> EventHub.ConnectionID? { state.withLock { $0.hub.connected() } }

    package func disconnect(_ connection: EventHub.ConnectionID) {
        let waiting = state.withLock { state in
            state.hub.disconnected(connection)
            return state.waiting.removeValue(forKey: connection)
        }
        waiting?.resume()
    }

    /// - Returns: false when there is no such channel.
    package func subscribe(
        _ connection: EventHub.ConnectionID, to channel: String, _ options: EventHub.SubscribeOptions
    ) -> Bool {
        perform { state in state.hub.subscribed(connection, to: channel, options) }
    }

    package func unsubscribe(_ connection: EventHub.ConnectionID, from channel: String) {
        state.withLock { $0.hub.unsubscribed(connection, from: channel) }
    }

    package func mayAct(_ connection: EventHub.ConnectionID, on channel: String) -> Bool {
        state.withLock { $0.hub.mayAct(connection, on: channel) }
    }

    package func isTakenOver(_ channel: String) -> Bool { state.withLock { $0.hub.isTakenOver(channel) } }

    package func isStuck(_ connection: EventHub.ConnectionID) -> Bool { state.withLock { $0.hub.isStuck(connection) } }

    /// Everybody gets what is queued, then a close.
    package func shutdown() { perform { $0.closing() } }

    /// The next event for a connection; suspends until there is one. One caller per connection.
    package func next(_ connection: EventHub.ConnectionID) async -> EventHub.Next {
        while true {
            let next = state.withLock { $0.hub.take(connection) }
            guard next == .wait else { return next }
            if Task.isCancelled { return .close(code: 1001, reason: "gone") }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let goOn = state.withLock { state -> Bool in
                        // Something may have come between the two locks.
                        if Task.isCancelled || state.hub.hasNews(connection) { return true }
                        state.waiting[connection] = continuation
                        return false
                    }
                    if goOn { continuation.resume() }
                }
            } onCancel: {
                state.withLock { $0.waiting.removeValue(forKey: connection) }?.resume()
            }
        }
    }

    // MARK: The step: lock, decide, unlock, wake

    private func perform(_ step: (inout EventHub) -> EventHub.Order) {
        perform { state in (step(&state.hub), ()) }
    }

    private func perform<R>(_ step: (inout State) -> (EventHub.Order, R)) -> R {
        let (woken, result) = state.withLock { state -> ([CheckedContinuation<Void, Never>], R) in
            let (order, result) = step(&state)
            switch order {
            case .wake(let ids): return (ids.compactMap { state.waiting.removeValue(forKey: $0) }, result)
            case .doNothing: return ([], result)
            }
        }
        for continuation in woken { continuation.resume() }
        return result
    }
}
