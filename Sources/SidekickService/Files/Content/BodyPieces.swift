import ComputeCore
import HTTPServing
import NIOCore
import Synchronization

/// A request's body in pieces that are worth a write each. A client that sends nothing for minutes is given up.
struct BodyPieces: Sendable {
    static let pieceBytes = 256 << 10
    /// As long as a download may pause (see `HTTPLimits.defaultStallTimeout`).
    static let maxPause: Duration = .seconds(300)

    let body: HTTPBody
    var maxPause = Self.maxPause

    /// Calls `take` with each piece, one after the other; the peer is slowed down meanwhile.
    ///
    /// When the body breaks off, what had arrived of it is handed over first, and then its error is thrown.
    func forEach(_ take: @escaping @Sendable (ByteBuffer) async throws -> Void) async throws {
        let moves = Moves()
        try await withThrowingTaskGroup(of: Bool.self) { [body, maxPause] group in
            group.addTask {
                try await Self.read(body, counting: moves, take)
                return true
            }
            group.addTask {
                // Many short sleeps: one that is cancelled keeps its memory until it would have ended, and bodies are many.
                let tick = min(maxPause, .seconds(2))
                var (seen, pause) = (moves.count, Duration.zero)
                while pause < maxPause {
                    try await Task.sleep(for: tick)
                    let now = moves.count
                    pause = now == seen ? pause + tick : .zero
                    seen = now
                }
                return false
            }
            defer { group.cancelAll() }
            guard try await group.next() == true else {
                throw Problem(
                    status: 408, code: .requestTimeout,
                    message: "nothing of the body came for \(maxPause.components.seconds) seconds")
            }
        }
    }

    /// Grows while something happens.
    private final class Moves: Sendable {
        private let number = Atomic<UInt64>(0)
        func add() { number.add(1, ordering: .relaxed) }
        var count: UInt64 { number.load(ordering: .relaxed) }
    }

    private static func read(
        _ body: HTTPBody, counting moves: Moves, _ take: @Sendable (ByteBuffer) async throws -> Void
    ) async throws {
        var piece = ByteBuffer()
        do {
            for try await var part in body {
                moves.add()
                if piece.readableBytes == 0 { piece = part } else { piece.writeBuffer(&part) }
                guard piece.readableBytes >= pieceBytes else { continue }
                let full = piece
                piece = ByteBuffer()
                try await take(full)
                moves.add()
            }
        } catch {
            // The connection's end may show as an error of the body or as our cancellation. A piece that could not be taken
            // is none any more here.
            if piece.readableBytes > 0 { try? await take(piece) }
            throw error
        }
        if piece.readableBytes > 0 { try await take(piece) }
    }
}
