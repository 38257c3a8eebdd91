/// Who is told what. A value: `EventBroker` is its shell.
///
///     terminals, commands ──output──▶ ring of the channel ◀── an offset of every subscriber ──┐
///     watchers, signals, … ──events──▶ queue of every subscriber ─────────────────────────────┴─take─▶ its connection
///
/// Output is kept once, in a ring, whoever reads it: a connection that falls behind loses the oldest of it and is told
/// how much, one that comes back says from where it goes on, and none of them can stop a writer or make us grow.
package struct EventHub: ~Copyable {
    package struct ConnectionID: Hashable, Sendable { fileprivate let value: UInt64 }

    /// Connections to wake, because there is something new for them.
    package enum Order: Equatable {
        case wake(Set<ConnectionID>)
        case doNothing
    }

    /// What a connection that asks gets.
    package enum Next: Equatable {
        case send(SocketEvent)
        case close(code: UInt16, reason: String)
        case wait
    }

    struct Subscription {
        /// One offset per stream of the channel.
        var offsets: [Int]
        var wasToldOfEnd = false
    }

    struct Connection {
        var notices = NoticeQueue()
        var subscriptions: [String: Subscription] = [:]
        /// Channels that may have output for it, the next one first.
        var ready: [String] = []
        /// It did not even take the few events that must not be lost.
        var isStuck = false

        mutating func mark(_ channel: String) {
            if !ready.contains(channel) { ready.append(channel) }
        }
    }

    struct Channel {
        /// nil: events alone.
        var output: Output?
        /// Who took it over, and alone may act on it.
        var holder: ConnectionID?
        /// It goes when they have read it.
        var isForReadersOnly = false
    }

    struct Output {
        let format: OutputFormat
        var rings: [OutputRing]
        /// Per stream, up to where somebody was sent it.
        var seen: [Int]
        /// Set when no more will come; told after the last of it.
        var ending: SocketEvent?

        init(_ format: OutputFormat) {
            self.format = format
            rings = format.types.map { _ in OutputRing(capacity: format.capacity) }
            seen = format.types.map { _ in 0 }
        }

        /// Also whether nothing will ever follow.
        func read(_ stream: Int, from offset: Int, upTo limit: Int) -> (OutputRing.Piece, isLast: Bool) {
            let piece = rings[stream].read(from: offset, upTo: limit)
            return (piece, ending != nil && piece.offset + piece.bytes.count == rings[stream].end)
        }
    }

    package static let maxConnections = 64
    package static let maxChannels = 256
    package static let maxChannelBytes = 256
    package static let tooSlow = (code: UInt16(1013), reason: "too slow")

    private var nextConnection: UInt64 = 1
    var connections: [ConnectionID: Connection] = [:]
    var channels: [String: Channel] = [:]
    /// Channels that go soon, the oldest first.
    var lingering: [String] = []
    /// What those together may keep.
    let maxLingeringBytes: Int
    private var isClosing = false
    /// Bytes of output that connections asked for and that were not kept any more.
    package private(set) var droppedBytes = 0

    package init(maxLingeringBytes: Int = Self.maxLingeringBytes) { self.maxLingeringBytes = maxLingeringBytes }

    package var connectionCount: Int { connections.count }

    // MARK: - Connections

    /// - Returns: nil when there are too many.
    package mutating func connected() -> ConnectionID? {
        guard connections.count < Self.maxConnections, !isClosing else { return nil }
        defer { nextConnection += 1 }
        let id = ConnectionID(value: nextConnection)
        connections[id] = Connection()
        return id
    }

    package mutating func disconnected(_ id: ConnectionID) {
        for name in connections[id]?.subscriptions.keys.map({ $0 }) ?? [] { unsubscribed(id, from: name) }
        connections[id] = nil
    }

    /// Everybody gets what is queued, then a close.
    package mutating func closing() -> Order {
        isClosing = true
        return .wake(Set(connections.keys))
    }

    /// The next event for a connection.
    package mutating func take(_ id: ConnectionID) -> Next {
        guard let connection = connections[id] else { return .close(code: 1001, reason: "gone") }
        if connection.isStuck { return .close(code: Self.tooSlow.code, reason: Self.tooSlow.reason) }
        if let event = connections[id]?.notices.pop() { return .send(event) }
        while connections[id]?.ready.isEmpty == false, let channel = connections[id]?.ready.removeFirst() {
            if let event = takeOutput(id, channel) {
                connections[id]?.mark(channel)
                return .send(event)
            }
        }
        return isClosing ? .close(code: 1001, reason: "shutting down") : .wait
    }

    /// Whether it is to be closed because it does not read.
    package func isStuck(_ id: ConnectionID) -> Bool { connections[id]?.isStuck ?? false }

    /// Whether `take` may give something other than `.wait`.
    package func hasNews(_ id: ConnectionID) -> Bool {
        guard let connection = connections[id] else { return true }
        return isClosing || connection.isStuck || !connection.notices.isEmpty || !connection.ready.isEmpty
    }

    private mutating func takeOutput(_ id: ConnectionID, _ name: String) -> SocketEvent? {
        guard let output = channels[name]?.output, var subscription = connections[id]?.subscriptions[name] else {
            return nil
        }
        for stream in output.rings.indices {
            let (piece, isLast) = output.read(stream, from: subscription.offsets[stream], upTo: OutputFormat.pieceBytes)
            let text = OutputText(piece, output.format.encoding, isLast: isLast)
            guard !text.isEmpty else { continue }
            noteDropped(text.dropped)
            subscription.offsets[stream] = text.next
            connections[id]?.subscriptions[name] = subscription
            channels[name]?.output?.seen[stream] = max(output.seen[stream], text.next)
            return output.format.event(stream, channel: name, text)
        }
        guard let ending = output.ending, !subscription.wasToldOfEnd else { return nil }
        connections[id]?.subscriptions[name]?.wasToldOfEnd = true
        forgetIfRead(name)
        return ending
    }

    mutating func noteDropped(_ bytes: Int) { droppedBytes += bytes }
}
