import ComputeCore

// MARK: - Channels whose time is over

/// A channel that has ended may have readers that are not at its end. It lingers for them, and only so far as there is
/// room: the oldest goes first, and then they miss the rest, but are told how much, and of the end.
extension EventHub {
    package static let maxLingering = 256
    /// In a compute that has enough, see `MemoryShares`.
    package static let maxLingeringBytes = 16 << 20

    /// It has ended. From now on it is there for a while: whoever calls says when that is over, by `lingeringIsOver`.
    /// - Parameter forReadersOnly: nobody else can subscribe, and it goes once all of them have been told its end.
    package mutating func lingers(_ name: String, forReadersOnly: Bool) -> Order {
        guard channels[name] != nil, !lingering.contains(name) else { return .doNothing }
        channels[name]?.isForReadersOnly = forReadersOnly
        lingering.append(name)
        forgetIfRead(name)
        var woken: Set<ConnectionID> = []
        while lingering.count > Self.maxLingering
            || lingering.reduce(0, { $0 + footprint($1) }) > maxLingeringBytes
        {
            if case .wake(let ids) = forgotten(lingering[0]) { woken.formUnion(ids) }
        }
        return woken.isEmpty ? .doNothing : .wake(woken)
    }

    package func isLingering(_ name: String) -> Bool { lingering.contains(name) }

    package mutating func lingeringIsOver(_ name: String) -> Order {
        lingering.contains(name) ? forgotten(name) : .doNothing
    }

    /// Its output is gone; nobody can subscribe any more. Who was still reading is told its end.
    package mutating func forgotten(_ name: String) -> Order {
        let unfinished = readers(of: name)
        if let output = channels[name]?.output, let ending = output.ending {
            for id in unfinished {
                let offsets = connections[id]?.subscriptions[name]?.offsets ?? []
                let missed = zip(output.rings, offsets).reduce(0) { $0 + $1.0.end - $1.1 }
                var event = ending
                if missed > 0 { event.data["dropped_bytes"] = .int(Int64(missed)) }
                noteDropped(missed)
                _ = push(event, to: [id])
            }
        }
        channels[name] = nil
        lingering.removeAll { $0 == name }
        for id in connections.keys { unsubscribed(id, from: name) }
        return unfinished.isEmpty ? .doNothing : .wake(unfinished)
    }

    mutating func forgetIfRead(_ name: String) {
        guard channels[name]?.isForReadersOnly == true, readers(of: name).isEmpty else { return }
        _ = forgotten(name)
    }

    /// Those who have not been told its end.
    private func readers(of name: String) -> Set<ConnectionID> {
        subscribers(of: name).filter { connections[$0]?.subscriptions[name]?.wasToldOfEnd == false }
    }
}
