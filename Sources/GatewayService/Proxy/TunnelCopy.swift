import HTTPServing
import NIOCore
import Synchronization

/// Bytes both ways between two tunnels, with no limit of time while both directions are open.
///
/// A clean end of one direction passes on and leaves the other open; a broken one ends both. So does silence after a
/// clean end: a peer that closed its socket altogether looks the same as one that only has no more to say.
struct TunnelCopy: Sendable {
    private enum Event { case ended, broken, silent }

    private let client: ByteTunnel
    private let server: ByteTunnel
    private let halfClosedLimit: Duration
    private let lastMove = LastMove()

    init(client: ByteTunnel, server: ByteTunnel, halfClosedLimit: Duration) {
        self.client = client
        self.server = server
        self.halfClosedLimit = halfClosedLimit
    }

    func run() async {
        await withTaskGroup(of: Event.self) { group in
            group.addTask { await self.copy(client, to: server) }
            group.addTask { await self.copy(server, to: client) }
            var open = 2
            while open > 0, let event = await group.next() {
                switch event {
                case .ended:
                    open -= 1
                    if open == 1 { group.addTask { await self.silence() } }
                case .broken, .silent:
                    open = 0
                }
            }
            await client.close()
            await server.close()
            group.cancelAll()
        }
    }

    private func copy(_ from: ByteTunnel, to target: ByteTunnel) async -> Event {
        do {
            for try await part in from.inbound {
                lastMove.set()
                try await target.write(part)
                lastMove.set()
            }
            await target.closeOutput()
            return Task.isCancelled ? .broken : .ended
        } catch {
            return .broken
        }
    }

    /// Returns when nothing has moved for the limit.
    private func silence() async -> Event {
        while !Task.isCancelled {
            let deadline = lastMove.instant.advanced(by: halfClosedLimit)
            guard deadline > .now else { break }
            try? await Task.sleep(until: deadline, clock: .continuous)
        }
        return .silent
    }
}

private final class LastMove: Sendable {
    private let value = Mutex(ContinuousClock.now)
    var instant: ContinuousClock.Instant { value.withLock { $0 } }
    func set() { value.withLock { $0 = .now } }
}
