import ComputeCore
import Synchronization

/// What a server has said, over all its runs: both streams for whoever watches `server:<slug>`, and the newest of both
/// together in the order in which it came.
final class ServerLog: Sendable {
    enum Stream: String, Sendable { case stdout, stderr, combined }

    private let broker: EventBroker
    private let channel: String
    private let combined: Mutex<OutputRing>

    /// - Parameter keptBytes: of each stream, and of both together as much again.
    init(slug: String, broker: EventBroker, keptBytes: Int) {
        self.broker = broker
        combined = Mutex(OutputRing(capacity: 2 * keptBytes))
        channel = "server:\(slug)"
        broker.open(
            channel,
            OutputFormat(
                types: ["server:stdout", "server:stderr"], fields: ["slug": .string(slug)], capacity: keptBytes))
    }

    func append(_ bytes: UnsafeRawBufferPointer, isError: Bool) {
        combined.withLock { $0.append(bytes) }
        broker.append(bytes, to: channel, stream: isError ? 1 : 0)
    }

    /// - Parameters:
    ///   - offset: nil: from the oldest that is kept. With one, a character that has only begun is left to the next read.
    ///   - tail: only so many lines at the end.
    func read(_ stream: Stream, since offset: Int?, tail: Int?) -> OutputText? {
        var piece: OutputRing.Piece
        switch stream {
        case .combined: piece = combined.withLock { $0.read(from: offset ?? 0, upTo: .max) }
        case .stdout, .stderr:
            guard let kept = broker.kept(channel, stream: stream == .stdout ? 0 : 1, from: offset ?? 0) else {
                return nil
            }
            piece = kept.piece
        }
        if let tail {
            let start = Self.start(ofLast: tail, in: piece.bytes)
            piece = OutputRing.Piece(
                offset: piece.offset + start, bytes: Array(piece.bytes[start...]),
                dropped: start == 0 ? piece.dropped : 0)
        }
        return OutputText(piece, .raw, isLast: offset == nil)
    }

    /// Where the last so many lines begin; one that is not ended counts.
    static func start(ofLast lines: Int, in bytes: [UInt8]) -> Int {
        guard lines > 0 else { return bytes.count }
        var left = lines
        for index in bytes.indices.dropLast().reversed() where bytes[index] == UInt8(ascii: "\n") {
            left -= 1
            if left == 0 { return index + 1 }
        }
        return 0
    }

    func forget() { broker.forget(channel) }
}
