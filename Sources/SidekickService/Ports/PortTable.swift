package import LinuxSystem

/// A process that listens.
package struct PortOwner: Hashable, Sendable {
    package let pid: Int32
    package let session: Int32

    package init(pid: Int32, session: Int32) {
        self.pid = pid
        self.session = session
    }
}

/// A port that is listened on in the compute, and by whom as far as that can be seen.
package struct PortListener: Hashable, Sendable {
    package let port: Int
    package let reach: ListeningSocket.Reach
    /// None of its sockets is reached from outside of the compute.
    package let isLoopbackOnly: Bool
    package let owner: PortOwner?

    package init(port: Int, reach: ListeningSocket.Reach, isLoopbackOnly: Bool = false, owner: PortOwner?) {
        self.port = port
        self.reach = reach
        self.isLoopbackOnly = isLoopbackOnly
        self.owner = owner
    }
}

/// Remembers whose the listening sockets are, because finding out means looking through the descriptors of every
/// process. A value: `PortMonitor` is its shell.
///
///     sockets listed ──▶ observed: is there one whose owner is not known, or has gone? ──▶ look ──▶ looked ──▶ listeners
package struct PortTable: Sendable {
    /// A process that has just started may not show its descriptors yet. One that never does is not ours to see.
    package static let maxLooks = 3

    private enum Holder {
        case owned(PortOwner)
        case unknown(looks: Int)
    }

    /// Our own process: what it listens on is nobody's port.
    private let own: Int32
    /// Everything that listens here belongs to the compute: we are the first process of its sandbox. Else (development)
    /// only what is known to run below us does.
    private let isWhole: Bool
    private var sockets: [ListeningSocket] = []
    private var holders: [UInt64: Holder] = [:]

    package init(own: Int32, isWhole: Bool) {
        self.own = own
        self.isWhole = isWhole
    }

    /// - Returns: whether somebody has to look who holds them.
    package mutating func observed(_ sockets: [ListeningSocket], isAlive: (Int32) -> Bool) -> Bool {
        self.sockets = sockets
        let listed = Set(sockets.map(\.inode))
        holders = holders.filter { listed.contains($0.key) }
        var needsLook = false
        for inode in listed {
            switch holders[inode] {
            case nil:
                holders[inode] = .unknown(looks: 0)
                needsLook = true
            case .owned(let owner) where !isAlive(owner.pid):
                // Inherited by another process, or about to go.
                holders[inode] = .unknown(looks: 0)
                needsLook = true
            case .owned: break
            case .unknown(let looks): needsLook = needsLook || looks < Self.maxLooks
            }
        }
        return needsLook
    }

    /// - Parameter found: who holds which socket, of all processes that could be looked at.
    package mutating func looked(_ found: [UInt64: PortOwner]) {
        for (inode, holder) in holders {
            if let owner = found[inode] {
                holders[inode] = .owned(owner)
            } else if case .unknown(let looks) = holder {
                holders[inode] = .unknown(looks: looks + 1)
            }
        }
    }

    /// By port; of several sockets on one, the one whose owner is known and that is reached by IPv4.
    package var listeners: [PortListener] {
        var best: [Int: PortListener] = [:]
        let open = Set(sockets.filter { !$0.isLoopbackOnly }.map(\.port))
        for socket in sockets {
            let owner: PortOwner?
            switch holders[socket.inode] {
            case .owned(let known):
                guard known.pid != own else { continue }
                owner = known
            case .unknown, nil:
                guard isWhole else { continue }
                owner = nil
            }
            let listener = PortListener(
                port: socket.port, reach: socket.reach, isLoopbackOnly: !open.contains(socket.port), owner: owner)
            if let other = best[socket.port], other.rank <= listener.rank { continue }
            best[socket.port] = listener
        }
        return best.values.sorted { $0.port < $1.port }
    }
}

extension PortListener {
    fileprivate var rank: Int {
        let reachRank =
            switch reach {
            case .loopback4: 0
            case .loopback6: 1
            case .elsewhere: 2
            }
        return (owner == nil ? 3 : 0) + reachRank
    }
}
