import ComputeCore

// MARK: - Subscriptions

extension EventHub {
    package struct SubscribeOptions: Hashable, Sendable {
        /// From which offset to go on, per stream; nil: from what nobody has seen yet, or, beside others who watch,
        /// from now on.
        package var since: [Int?]
        /// Everybody else is unsubscribed, and may not act on it until this connection leaves.
        package var takesOver: Bool

        package init(since: [Int?] = [], takesOver: Bool = false) {
            self.since = since
            self.takesOver = takesOver
        }
    }

    /// - Returns: also whether there is such a channel now for this connection; whoever calls tells it when not.
    package mutating func subscribed(
        _ id: ConnectionID, to name: String, _ options: SubscribeOptions = SubscribeOptions()
    ) -> (order: Order, isKnown: Bool) {
        guard let connection = connections[id] else { return (.doNothing, true) }
        let isNew = connection.subscriptions[name] == nil
        guard !isNew || connection.subscriptions.count < Self.maxChannels else {
            return (push(.error("more than \(Self.maxChannels) channels", channel: name), to: [id]), true)
        }
        guard name.utf8.count <= Self.maxChannelBytes else {
            return (push(.error("the channel's name is too long"), to: [id]), true)
        }
        guard let channel = channels[name], !(isNew && channel.isForReadersOnly) else { return (.doNothing, false) }
        var woken: Set<ConnectionID> = []
        if options.takesOver { woken = takeOver(name, by: id) }
        guard let output = channel.output else {
            connections[id]?.subscriptions[name] = Subscription(offsets: [])
            return (.wake(woken), true)
        }
        // Asking again changes nothing, unless it says from where.
        guard isNew || options.since.contains(where: { $0 != nil }) else { return (.wake(woken), true) }
        let isAlone = subscribers(of: name).subtracting([id]).isEmpty
        let offsets = output.rings.indices.map { stream in
            let asked = stream < options.since.count ? options.since[stream] : nil
            return min(asked.map { max($0, 0) } ?? (isAlone ? output.seen[stream] : .max), output.rings[stream].end)
        }
        connections[id]?.subscriptions[name] = Subscription(offsets: offsets)
        connections[id]?.mark(name)
        woken.insert(id)
        return (.wake(woken), true)
    }

    package mutating func unsubscribed(_ id: ConnectionID, from name: String) {
        if channels[name]?.holder == id { channels[name]?.holder = nil }
        connections[id]?.subscriptions[name] = nil
        connections[id]?.ready.removeAll { $0 == name }
        forgetIfRead(name)
    }

    /// Whether a connection may act on a channel: nobody else has taken it over.
    package func mayAct(_ id: ConnectionID, on name: String) -> Bool {
        channels[name]?.holder.map { $0 == id } ?? true
    }

    package func isTakenOver(_ name: String) -> Bool { channels[name]?.holder != nil }

    private mutating func takeOver(_ name: String, by id: ConnectionID) -> Set<ConnectionID> {
        channels[name]?.holder = id
        let others = subscribers(of: name).subtracting([id])
        for other in others { unsubscribed(other, from: name) }
        _ = push(SocketEvent("detached", channel: name, ["reason": .string("takeover")]), to: others)
        return others
    }

    func subscribers(of name: String) -> Set<ConnectionID> {
        Set(connections.lazy.filter { $0.value.subscriptions[name] != nil }.map(\.key))
    }
}

// MARK: - Channels

extension EventHub {
    package enum Audience: Sendable {
        case everyone
        /// Of the event's channel.
        case subscribers
        /// All but those, who are told otherwise.
        case others
        case connection(ConnectionID)
    }

    /// From now on it can be subscribed to. One that was there is replaced, and its subscribers hear the new one from its
    /// beginning.
    /// - Parameter format: nil: a channel without output.
    package mutating func opened(_ name: String, _ format: OutputFormat? = nil) {
        channels[name] = Channel(output: format.map { Output($0) })
        lingering.removeAll { $0 == name }
        let offsets = format?.types.map { _ in 0 } ?? []
        for id in subscribers(of: name) { connections[id]?.subscriptions[name] = Subscription(offsets: offsets) }
    }

    /// Whether somebody who watches has more than half of what is kept still before it.
    package func isBehind(_ name: String) -> Bool {
        guard let output = channels[name]?.output else { return false }
        return subscribers(of: name).contains { id in
            guard let offsets = connections[id]?.subscriptions[name]?.offsets else { return false }
            return zip(output.rings, offsets).contains { ring, offset in ring.end - offset > ring.capacity / 2 }
        }
    }

    package mutating func output(_ name: String, stream: Int, _ bytes: UnsafeRawBufferPointer) -> Order {
        // Looked at in place: a copy that is still held would make the ring copy its storage at every append.
        guard let hasEnded = channels[name]?.output.map({ $0.ending != nil }), !hasEnded, !bytes.isEmpty else {
            return .doNothing
        }
        channels[name]?.output?.rings[stream].append(bytes)
        return mark(name)
    }

    /// No more output will come. Subscribers are told by `ending` once they have been sent the rest.
    package mutating func ended(_ name: String, _ ending: SocketEvent) -> Order {
        guard let output = channels[name]?.output, output.ending == nil else { return .doNothing }
        channels[name]?.output?.ending = ending
        return mark(name)
    }

    /// - Parameter isDroppable: one of many, which a slow connection may lose. It is told how many.
    package mutating func published(_ event: SocketEvent, to audience: Audience, isDroppable: Bool = false) -> Order {
        let ids: Set<ConnectionID> =
            switch audience {
            case .everyone: Set(connections.keys)
            case .subscribers: subscribers(of: event.channel)
            case .others: Set(connections.keys).subtracting(subscribers(of: event.channel))
            case .connection(let id): [id]
            }
        guard isDroppable else { return push(event, to: ids) }
        for id in ids { connections[id]?.notices.pushDroppable(event) }
        return ids.isEmpty ? .doNothing : .wake(ids)
    }

    /// Bytes of memory that the output of a channel takes.
    package func footprint(_ name: String) -> Int {
        channels[name]?.output?.rings.reduce(0) { $0 + $1.footprint } ?? 0
    }

    /// What is kept of a stream from an offset on, and whether nothing will ever follow; nil when there is no such channel.
    package func kept(
        _ name: String, stream: Int, from offset: Int, upTo limit: Int
    ) -> (piece: OutputRing.Piece, isLast: Bool)? {
        channels[name]?.output?.read(stream, from: offset, upTo: limit)
    }

    private mutating func mark(_ name: String) -> Order {
        let ids = subscribers(of: name)
        for id in ids { connections[id]?.mark(name) }
        return ids.isEmpty ? .doNothing : .wake(ids)
    }

    mutating func push(_ event: SocketEvent, to ids: Set<ConnectionID>) -> Order {
        for id in ids where connections[id]?.notices.push(event) == false { connections[id]?.isStuck = true }
        return ids.isEmpty ? .doNothing : .wake(ids)
    }
}
