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
    private let session: SessionUse?
    private let lastMove = LastMove()
    /// Where the server's frames end, when that may matter: for a session's WebSocket.
    private let frames: Frames?
    /// How long a client may take to hang up once it was told that its session is over.
    private static let goodbyeLimit: Duration = .milliseconds(300)

    init(
        client: ByteTunnel, server: ByteTunnel, halfClosedLimit: Duration, isWebSocket: Bool, session: SessionUse?
    ) {
        self.client = client
        self.server = server
        self.halfClosedLimit = halfClosedLimit
        self.session = session
        frames = isWebSocket && session != nil ? Frames() : nil
    }

    func run() async {
        await withTaskGroup(of: Event.self) { group in
            group.addTask { await self.copy(client, to: server, nil) }
            group.addTask { await self.copy(server, to: client, frames) }
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
            if session?.isOver == true {
                // Whoever copies stops first: one task at a time reads from the client.
                group.cancelAll()
                await server.close()
                await group.waitForAll()
                await sayGoodbye()
            }
            await client.close()
            await server.close()
            group.cancelAll()
        }
    }

    /// Tells a WebSocket's client why, where a frame may stand: in the middle of another one it would be garbage.
    private func sayGoodbye() async {
        guard let frames, frames.mayInsert else { return }
        let (client, limit) = (client, Self.goodbyeLimit)
        // Not this task, which is cancelled. It ends with the client's hanging up, or soon.
        await Task {
            await withDiscardingTaskGroup { group in
                group.addTask {
                    try? await client.write(FrameBoundary.close(1008, "the session is over"))
                    await client.closeOutput()
                    do { for try await _ in client.inbound {} } catch {}
                }
                try? await Task.sleep(for: limit)
                group.cancelAll()
            }
        }.value
    }

    private func copy(_ from: ByteTunnel, to target: ByteTunnel, _ frames: Frames?) async -> Event {
        do {
            for try await part in from.inbound {
                lastMove.set()
                frames?.follow(part)
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

private final class Frames: Sendable {
    private let boundary = Mutex(FrameBoundary())
    var mayInsert: Bool { boundary.withLock { $0.isBetweenFrames } }
    func follow(_ bytes: ByteBuffer) { boundary.withLock { $0.follow(bytes) } }
}
