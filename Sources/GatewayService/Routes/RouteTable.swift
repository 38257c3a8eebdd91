package import APIContract
package import ComputeCore

/// Where every compute is reached, as the event feed and read-through lookups tell it. A value machine: no
/// clock, no socket; times are passed in, effects are returned.
///
/// Two sources may disagree for a moment: a lookup's answer may be older than an event that overtook it, and a
/// feed that replays history is older than a lookup. Records of one compute are ordered (ended beats all, then
/// the higher generation, then the higher version, then running beats starting) and only ever move up, so the order of
/// arrival does not matter. While the feed replays (`catchingUp`), a record that only the replay knows may be out of date
/// without a newer one in sight, so it is confirmed by a lookup before use: an address may have a new owner.
package struct RouteTable: Sendable {
    package struct Limits: Sendable {
        /// Ended computes that are remembered, so that nothing late brings them back.
        package var ended: Int
        /// Ids that the API did not know a moment ago: what a scanner can make us remember.
        package var unknown = 10_000
        /// Lookups under way at once.
        package var lookups: Int
        /// How long "unknown" is believed.
        package var unknownFor: Duration = .seconds(1)

        package init(ended: Int = 10_000, lookups: Int = 1_000) {
            self.ended = ended
            self.lookups = lookups
        }
    }

    package enum Finding: Equatable, Sendable {
        case running(RouteRecord)
        /// Requested and not yet reachable: wait for a change.
        case starting
        /// It stands still until somebody resumes it.
        case paused
        /// It has no place until somebody starts it.
        case stopped
        case ended
        case unknown
        /// A lookup is under way: wait for a change.
        case pending
        /// Start a lookup, then wait for a change.
        case lookUp
        /// Too many lookups are under way.
        case overloaded
    }

    package enum Order: Equatable, Sendable {
        case doNothing
        /// Whoever waits for this compute looks again.
        case wake(ComputeID)
        /// As `wake`; and connections to every generation below this one (all, when nil) close now.
        case disconnect(ComputeID, below: Generation?)
        /// As `wake`; and what is open without a token at ports that are private closes now.
        case confine(ComputeID, PortAccess)
    }

    private struct Entry {
        /// Its ports are those of `portsVersion`, whatever the record's own version is.
        var record: RouteRecord
        var isConfirmed: Bool
        var portsVersion: Int
    }
    private struct Lookup {
        /// An event ended the compute while the lookup was under way; its answer is older.
        var sawEnd = false
        /// Ports that changed while the lookup was under way; its answer may be older.
        var sawPorts: PortsRecord?
    }
    package typealias Instant = ContinuousClock.Instant

    private let limits: Limits
    private var entries: [ComputeID: Entry] = [:]
    private var lookups: [ComputeID: Lookup] = [:]
    private var ended = ExpiringIDs()
    private var unknown = ExpiringIDs()
    package private(set) var isCatchingUp = true

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// How many computes have a route.
    package var count: Int { entries.count }

    package mutating func find(_ id: ComputeID, now: Instant) -> Finding {
        if ended.contains(id) { return .ended }
        if let entry = entries[id], entry.isConfirmed || !isCatchingUp {
            switch entry.record.state {
            case .running: return .running(entry.record)
            case .paused: return .paused
            case .stopped: return .stopped
            case .starting, .ended: return .starting
            }
        }
        if lookups[id] != nil { return .pending }
        if unknown.contains(id, now: now) { return .unknown }
        guard lookups.count < limits.lookups else { return .overloaded }
        lookups[id] = Lookup()
        return .lookUp
    }

    /// False once its compute is known to run as another generation, or not to run.
    package func isCurrent(_ record: RouteRecord) -> Bool {
        guard !ended.contains(record.computeId) else { return false }
        return entries[record.computeId].map {
            $0.record.generation == record.generation && !$0.record.state.isAtRest
        } ?? true
    }

    /// False once the port is private; what has a token does not ask.
    package func isPublic(_ port: Int, of id: ComputeID) -> Bool {
        entries[id]?.record.ports?.isPrivate(port) != true
    }

    /// Whoever reaches its ports from now on.
    package mutating func happened(_ ports: PortsRecord) -> Order {
        let id = ports.computeId
        if let seen = lookups[id], seen.sawPorts.map({ $0.version < ports.version }) ?? true {
            lookups[id]?.sawPorts = ports
        }
        guard let entry = entries[id], entry.portsVersion < ports.version else { return .doNothing }
        entries[id]?.record.ports = ports.ports
        entries[id]?.portsVersion = ports.version
        return .confine(id, ports.ports)
    }

    /// A route event of the feed.
    package mutating func happened(_ record: RouteRecord) -> Order {
        if record.state == .ended { lookups[record.computeId]?.sawEnd = true }
        return learn(record, isConfirmed: !isCatchingUp)
    }

    /// The API answered a lookup; nil when it knows no such compute.
    package mutating func lookedUp(_ id: ComputeID, found record: RouteRecord?, now: Instant) -> Order {
        guard let lookup = lookups.removeValue(forKey: id), !lookup.sawEnd else { return .wake(id) }
        guard let record, record.computeId == id else {
            // An event that came meanwhile knows better than a "no" that was on its way; replayed history does not.
            if isCatchingUp || entries[id] == nil {
                unknown.insert(id, until: now.advanced(by: limits.unknownFor), atMost: limits.unknown)
            }
            return .wake(id)
        }
        let order = learn(record, isConfirmed: true)
        if let ports = lookup.sawPorts, case .confine(let id, let ports) = happened(ports) {
            if case .disconnect = order { return .disconnect(id, below: nil) }
            return .confine(id, ports)
        }
        return order == .doNothing ? .wake(id) : order
    }

    /// The lookup failed; whoever waits is told so by the shell, and the next one tries again.
    package mutating func lookupFailed(_ id: ComputeID) { lookups[id] = nil }

    /// The feed has delivered everything that had happened when it was asked.
    package mutating func caughtUp() { isCatchingUp = false }

    /// The feed starts again from the beginning: what is known must be confirmed before use.
    package mutating func restarted() {
        isCatchingUp = true
        for id in entries.keys { entries[id]?.isConfirmed = false }
    }

    // MARK: -

    private mutating func learn(_ record: RouteRecord, isConfirmed: Bool) -> Order {
        let id = record.computeId
        unknown.remove(id)
        guard !ended.contains(id) else { return .doNothing }
        if record.state == .ended {
            entries[id] = nil
            ended.insert(id, until: nil, atMost: limits.ended)
            return .disconnect(id, below: nil)
        }
        guard let old = entries[id] else {
            entries[id] = Entry(
                record: record, isConfirmed: isConfirmed, portsVersion: record.ports == nil ? 0 : record.version ?? 0)
            return .wake(id)
        }
        guard record.rank >= old.record.rank else { return .doNothing }
        var record = record
        var portsVersion = old.portsVersion
        // Each knows of the ports up to its own version.
        if record.ports == nil || (record.version ?? 0) < portsVersion {
            record.ports = old.record.ports
        } else {
            portsVersion = record.version ?? 0
        }
        entries[id] = Entry(
            record: record, isConfirmed: isConfirmed || (old.isConfirmed && old.record == record),
            portsVersion: portsVersion)
        if record.generation > old.record.generation { return .disconnect(id, below: record.generation) }
        // What is open would hang until it is resumed, or go on to nobody; its clients shall know now.
        if record.state.isAtRest, !old.record.state.isAtRest { return .disconnect(id, below: nil) }
        if let ports = record.ports, ports != old.record.ports { return .confine(id, ports) }
        return .wake(id)
    }
}

extension RouteState {
    /// Nobody answers there, and somebody may again later.
    fileprivate var isAtRest: Bool { self == .paused || self == .stopped }
}

extension RouteRecord {
    /// Later states of one compute have the higher rank. `ended` is handled apart: nothing comes after it.
    /// An older API sends no versions.
    fileprivate var rank: (Int, Int, Int) { (generation.rawValue, version ?? 0, state == .starting ? 0 : 1) }
}
