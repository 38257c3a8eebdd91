import LinuxSystem
import SidekickService
import Testing

struct PortTableTests {
    private static func socket(_ port: Int, inode: UInt64, _ reach: ListeningSocket.Reach = .loopback4)
        -> ListeningSocket
    {
        ListeningSocket(port: port, reach: reach, inode: inode)
    }

    @Test func ownersAreLookedForOnceAndAgainWhenTheyHaveGone() {
        var table = PortTable(own: 1, isWhole: true)
        let sockets = [Self.socket(80, inode: 5)]
        let first = table.observed(sockets) { _ in true }
        #expect(first)
        table.looked([5: PortOwner(pid: 7, session: 7), 6: PortOwner(pid: 8, session: 8)])
        let second = table.observed(sockets) { _ in true }
        #expect(!second)
        #expect(table.listeners == [PortListener(port: 80, reach: .loopback4, owner: PortOwner(pid: 7, session: 7))])
        let third = table.observed(sockets) { $0 != 7 }
        #expect(third)
        table.looked([5: PortOwner(pid: 9, session: 7)])
        #expect(table.listeners.first?.owner?.pid == 9)
        _ = table.observed([]) { _ in true }
        #expect(table.listeners == [])
    }

    @Test func whoCannotBeSeenIsNotLookedForWithoutEnd() {
        var table = PortTable(own: 1, isWhole: true)
        var looks = 0
        for _ in 0..<10 where table.observed([Self.socket(80, inode: 5)], isAlive: { _ in true }) {
            looks += 1
            table.looked([:])
        }
        #expect(looks == PortTable.maxLooks)
        // It listens all the same.
        #expect(table.listeners.map(\.port) == [80])
    }

    @Test func outsideOfASandboxOnlyKnownOwnersCountAndNeverOurselves() {
        var table = PortTable(own: 1, isWhole: false)
        let sockets = [Self.socket(80, inode: 1), Self.socket(81, inode: 2), Self.socket(82, inode: 3)]
        _ = table.observed(sockets) { _ in true }
        table.looked([1: PortOwner(pid: 1, session: 1), 2: PortOwner(pid: 5, session: 5)])
        #expect(table.listeners.map(\.port) == [81])
    }

    @Test func ofSeveralSocketsOnAPortTheKnownAndNearestIsShown() {
        var table = PortTable(own: 1, isWhole: true)
        let sockets = [
            Self.socket(80, inode: 1, .elsewhere), Self.socket(80, inode: 2, .loopback6), Self.socket(80, inode: 3),
        ]
        _ = table.observed(sockets) { _ in true }
        let owner = PortOwner(pid: 5, session: 5)
        table.looked([1: owner, 2: owner])
        #expect(table.listeners == [PortListener(port: 80, reach: .loopback6, owner: owner)])
    }

    @Test func aPortIsOnTheLoopbackAloneWhenAllItsSocketsAre() {
        var table = PortTable(own: 1, isWhole: true)
        let sockets = [
            ListeningSocket(port: 80, reach: .loopback4, isLoopbackOnly: true, inode: 1),
            ListeningSocket(port: 80, reach: .elsewhere, inode: 2),
            ListeningSocket(port: 81, reach: .loopback4, isLoopbackOnly: true, inode: 3),
            ListeningSocket(port: 81, reach: .loopback6, isLoopbackOnly: true, inode: 4),
        ]
        _ = table.observed(sockets) { _ in true }
        #expect(table.listeners.map(\.isLoopbackOnly) == [false, true])
    }

    @Test func changesAreToldOnceAndGoneBeforeNew() {
        var changes = PortChanges()
        let first = changes.observed([80, 22])
        #expect(first == [.opened(22), .opened(80)])
        let second = changes.observed([80, 22])
        #expect(second == [])
        let third = changes.observed([81])
        #expect(third == [.closed(22), .closed(80), .opened(81)])
    }

    @Test func aServerGetsItsPortOrTheNextOneUnlessItIsStrict() {
        #expect(ServerPorts.choose(asked: 5000, strict: false, taken: []) == 5000)
        #expect(ServerPorts.choose(asked: 5000, strict: false, taken: [5000, 5001]) == 5002)
        #expect(ServerPorts.choose(asked: 5000, strict: true, taken: [5000]) == nil)
        #expect(ServerPorts.choose(asked: nil, strict: false, taken: [ServerPorts.first]) == ServerPorts.first + 1)
        #expect(ServerPorts.choose(asked: 65535, strict: false, taken: [65535]) == 1024)
        #expect(ServerPorts.choose(asked: 80, strict: false, taken: Set(1...65535)) == nil)
    }

    @Test func thePortOfAServerIsOneOfItsSession() {
        func listener(_ port: Int, session: Int32?) -> PortListener {
            PortListener(port: port, reach: .loopback4, owner: session.map { PortOwner(pid: 99, session: $0) })
        }
        func detect(_ listeners: [PortListener], current: Int? = nil) -> Int? {
            ServerPorts.detect(listeners, assigned: 3000, current: current, session: 7)?.port
        }
        #expect(detect([listener(3000, session: 8)]) == nil)
        #expect(detect([listener(80, session: 7), listener(3000, session: 7)]) == 3000)
        #expect(detect([listener(9229, session: 7), listener(5173, session: 7)]) == 5173)
        #expect(detect([listener(9229, session: 7), listener(5173, session: 7)], current: 9229) == 9229)
        // Whose it is cannot be seen, but nobody else was told of this port.
        #expect(detect([listener(3000, session: nil), listener(4000, session: nil)]) == 3000)
        #expect(detect([listener(4000, session: nil)]) == nil)
    }

    @Test func aServerIsLookedForEagerlyForHalfAMinute() {
        #expect(ServerPorts.demand(isListening: false, age: .zero) == .eager)
        #expect(ServerPorts.demand(isListening: false, age: .seconds(29)) == .eager)
        #expect(ServerPorts.demand(isListening: false, age: .seconds(30)) == .calm)
        #expect(ServerPorts.demand(isListening: true, age: .zero) == .calm)
    }
}
