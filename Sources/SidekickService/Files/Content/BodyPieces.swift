import ComputeCore
import HTTPServing
import NIOCore
import Synchronization

/// Some of a body, as it came: joining the parts would cost as much as writing them.
struct BodyPiece: Sendable {
    private(set) var parts: [ByteBuffer] = []
    private(set) var count = 0

    init() {}
    init(_ part: ByteBuffer) { append(part) }

    mutating func append(_ part: ByteBuffer) {
        parts.append(part)
        count += part.readableBytes
    }
}

/// A request's body in pieces that are worth a write each. A client that sends nothing for minutes is given up.
struct BodyPieces: Sendable {
    static let pieceBytes = 256 << 10
    /// As long as a download may pause (see `HTTPLimits.defaultStallTimeout`).
    static let maxPause: Duration = .seconds(300)

    let body: HTTPBody
    var maxPause = Self.maxPause

    /// Calls `take` with each piece, one after the other. The next piece comes in meanwhile, and no more: then the peer is
    /// slowed down.
    ///
    /// When the body breaks off, what had arrived of it is handed over first, and then its error is thrown.
    func forEach(_ take: @escaping @Sendable (BodyPiece) async throws -> Void) async throws {
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
        _ body: HTTPBody, counting moves: Moves, _ take: @escaping @Sendable (BodyPiece) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var piece = BodyPiece()
            // What comes behind a piece that could not be taken must not be taken in its place.
            var isBroken = false
            func settle() async throws {
                do { try await group.next() } catch {
                    isBroken = true
                    throw error
                }
            }
            do {
                for try await part in body {
                    moves.add()
                    piece.append(part)
                    guard piece.count >= pieceBytes else { continue }
                    try await settle()
                    moves.add()
                    let full = piece
                    piece = BodyPiece()
                    group.addTask { try await take(full) }
                }
                try await settle()
            } catch {
                // The connection's end may show as an error of the body or as our cancellation.
                try? await settle()
                if !isBroken, piece.count > 0 { try? await take(piece) }
                throw error
            }
            if piece.count > 0 { try await take(piece) }
        }
    }
}
