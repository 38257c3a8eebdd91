import FoundationEssentials

/// Who gets which event. A value: `TerminalService` is its shell.
///
///     PTY ──output──▶ hub ──▶ queue of every subscriber ──take──▶ its connection
///                      └────▶ backlog, when there is no subscriber
///
/// Creation and destruction of a terminal go to every connection: clients wait for them before they subscribe.
package struct TerminalHub: ~Copyable {
    package struct ConnectionID: Hashable, Sendable { fileprivate let value: UInt64 }

    /// Connections to wake, because their queues have something new.
    package enum Order: Equatable {
        case wake(Set<ConnectionID>)
        case doNothing
    }

    /// What a connection that asks gets.
    package enum Next: Equatable {
        case send(TerminalEvent)
        case close(code: UInt16, reason: String)
        case wait
    }

    private struct Connection {
        var channels: Set<String> = []
        var queue = OutboundQueue()
        /// It did not even take the few events that are not output.
        var isStuck = false
    }

    private struct Terminal {
        let encoding: TerminalEncoding
        var splitter = UTF8Splitter()
        var backlog = Backlog()
        /// Set when it has ended and its last output still waits for somebody.
        var exitCode: Int?
    }

    package static let maxConnections = 64
    package static let maxChannels = 256

    private var nextConnection: UInt64 = 1
    private var connections: [ConnectionID: Connection] = [:]
    private var terminals: [TerminalID: Terminal] = [:]
    private var isClosing = false

    package init() {}
}

// MARK: - Connections

extension TerminalHub {
    /// - Returns: nil when there are too many.
    package mutating func connected() -> ConnectionID? {
        guard connections.count < Self.maxConnections, !isClosing else { return nil }
        defer { nextConnection += 1 }
        let id = ConnectionID(value: nextConnection)
        connections[id] = Connection()
        return id
    }

    package mutating func disconnected(_ id: ConnectionID) { connections[id] = nil }

    /// The next event for a connection.
    package mutating func take(_ id: ConnectionID) -> Next {
        guard let connection = connections[id] else { return .close(code: 1001, reason: "gone") }
        if connection.isStuck { return .close(code: 1013, reason: "too slow") }
        if let event = connections[id]?.queue.pop() { return .send(event) }
        return isClosing ? .close(code: 1001, reason: "shutting down") : .wait
    }

    /// Whether `take` would give something other than `.wait`.
    package func hasNews(_ id: ConnectionID) -> Bool {
        guard let connection = connections[id] else { return true }
        return isClosing || connection.isStuck || !connection.queue.isEmpty
    }

    package mutating func subscribed(_ id: ConnectionID, to channel: String) -> Order {
        guard let connection = connections[id], !connection.channels.contains(channel) else { return .doNothing }
        guard connection.channels.count < Self.maxChannels, channel.utf8.count <= 256 else {
            return push(.error("too many channels, or too long a name"), to: [id])
        }
        guard let terminalID = Self.terminalID(channel) else {
            connections[id]?.channels.insert(channel)
            return .doNothing
        }
        // Ids are made here, so a terminal that is not known will never be.
        guard let terminal = terminals[terminalID] else {
            return push(.terminalError(terminalID, "there is no such terminal"), to: [id])
        }
        connections[id]?.channels.insert(channel)
        let kept = terminals[terminalID]?.backlog.take() ?? (texts: [], dropped: 0)
        var events = kept.texts.map { TerminalEvent.output(terminalID, text: $0, terminal.encoding, dropped: 0) }
        if kept.dropped > 0 {
            events.insert(.output(terminalID, text: "", terminal.encoding, dropped: kept.dropped), at: 0)
        }
        if let exitCode = terminal.exitCode { events.append(.destroyed(terminalID, exitCode: exitCode)) }
        for event in events { _ = push(event, to: [id]) }
        return events.isEmpty ? .doNothing : .wake([id])
    }

    package mutating func unsubscribed(_ id: ConnectionID, from channel: String) {
        connections[id]?.channels.remove(channel)
    }

    /// Tells one connection about what it sent.
    package mutating func refused(_ id: ConnectionID, _ event: TerminalEvent) -> Order { push(event, to: [id]) }

    /// Everybody gets what is queued, then a close.
    package mutating func closing() -> Order {
        isClosing = true
        return .wake(Set(connections.keys))
    }
}

// MARK: - Terminals

extension TerminalHub {
    /// From now on its output has a place. Nobody hears of it before `announce`.
    package mutating func added(_ id: TerminalID, _ encoding: TerminalEncoding) {
        terminals[id] = Terminal(encoding: encoding)
    }

    /// It runs. Told again and again, because a client hears it only while it listens: twice is harmless, never is 5 s
    /// of waiting.
    package mutating func announce(_ id: TerminalID) -> Order {
        guard let terminal = terminals[id], terminal.exitCode == nil else { return .doNothing }
        return push(.created(id), to: Set(connections.keys))
    }

    /// Tells one connection which terminals run.
    package mutating func announceAll(to connection: ConnectionID) -> Order {
        var order = Order.doNothing
        for (id, terminal) in terminals where terminal.exitCode == nil { order = push(.created(id), to: [connection]) }
        return order
    }

    package mutating func output(_ id: TerminalID, _ bytes: UnsafeRawBufferPointer) -> Order {
        guard let terminal = terminals[id], terminal.exitCode == nil else { return .doNothing }
        switch terminal.encoding {
        case .raw: return deliver(terminals[id]?.splitter.split(bytes) ?? "", of: id, .raw)
        case .base64: return deliver(Data(bytes).base64EncodedString(), of: id, .base64)
        }
    }

    /// - Returns: also whether somebody may still come for its last output; then it is to be `forgotten` later.
    package mutating func ended(_ id: TerminalID, exitCode: Int) -> (order: Order, isKept: Bool) {
        guard let terminal = terminals[id], terminal.exitCode == nil else { return (.doNothing, false) }
        var woken: Set<ConnectionID> = []
        if terminal.encoding == .raw, let rest = terminals[id]?.splitter.finish(),
            case .wake(let subscribers) = deliver(rest, of: id, .raw)
        {
            woken = subscribers
        }
        let isKept = subscribers(of: id).isEmpty
        if isKept { terminals[id]?.exitCode = exitCode } else { terminals[id] = nil }
        if case .wake(let all) = push(.destroyed(id, exitCode: exitCode), to: Set(connections.keys)) {
            woken.formUnion(all)
        }
        return (woken.isEmpty ? .doNothing : .wake(woken), isKept)
    }

    package mutating func forgotten(_ id: TerminalID) { terminals[id] = nil }

    private mutating func deliver(_ text: String, of id: TerminalID, _ encoding: TerminalEncoding) -> Order {
        guard !text.isEmpty else { return .doNothing }
        let subscribers = subscribers(of: id)
        guard !subscribers.isEmpty else {
            terminals[id]?.backlog.append(text)
            return .doNothing
        }
        return push(.output(id, text: text, encoding, dropped: 0), to: subscribers)
    }

    private func subscribers(of id: TerminalID) -> Set<ConnectionID> {
        Set(connections.lazy.filter { $0.value.channels.contains(id.channel) }.map(\.key))
    }

    private mutating func push(_ event: TerminalEvent, to ids: Set<ConnectionID>) -> Order {
        for id in ids where connections[id]?.queue.push(event) == false { connections[id]?.isStuck = true }
        return ids.isEmpty ? .doNothing : .wake(ids)
    }

    private static func terminalID(_ channel: String) -> TerminalID? {
        channel.hasPrefix("terminal:") ? TerminalID(String(channel.dropFirst("terminal:".count))) : nil
    }
}
