package import NIOCore
package import NIOHTTP1
import Synchronization

/// A message's body as it arrives. Single pass; the peer is slowed down while nobody reads.
package struct HTTPBody: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer
    let reader: BodyReader

    package func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

    /// What came after a chunked body; nil before its end and when there was nothing.
    package var trailers: HTTPHeaders? { reader.trailers }

    package struct Iterator: AsyncIteratorProtocol {
        let reader: BodyReader
        package mutating func next() async throws -> ByteBuffer? { try await reader.next() }
    }
}

extension HTTPBody {
    /// The whole body, or `bodyTooLarge`.
    package func collect(upTo maxBytes: Int) async throws -> ByteBuffer {
        var whole = ByteBuffer()
        for try await var part in self {
            guard whole.readableBytes + part.readableBytes <= maxBytes else {
                throw HTTPServingError(.bodyTooLarge, "the body has more than \(maxBytes) bytes")
            }
            if whole.readableBytes == 0 { whole = part } else { whole.writeBuffer(&part) }
        }
        return whole
    }
}

/// Reads one message's parts from the connection's queue up to its end, and not further.
final class BodyReader: Sendable {
    private struct State {
        var ended = false
        var wasRead = false
        var bytesRead = 0
        var trailers: HTTPHeaders?
        var beforeFirstRead: (@Sendable () async throws -> Void)?
    }

    private let inbound: BoundedQueue<InboundPart>
    private let state: Mutex<State>

    init(inbound: BoundedQueue<InboundPart>) {
        self.inbound = inbound
        self.state = Mutex(State())
    }

    func beforeFirstRead(_ perform: @escaping @Sendable () async throws -> Void) {
        state.withLock { $0.beforeFirstRead = perform }
    }

    /// Somebody asked for the body already.
    var wasRead: Bool { state.withLock { $0.wasRead } }

    /// Of the body, without its framing.
    var bytesRead: Int { state.withLock { $0.bytesRead } }

    var trailers: HTTPHeaders? { state.withLock { $0.trailers } }
    var ended: Bool { state.withLock { $0.ended } }

    func next() async throws -> ByteBuffer? {
        let (ended, first) = state.withLock {
            let first = $0.beforeFirstRead
            $0.beforeFirstRead = nil
            $0.wasRead = true
            return ($0.ended, first)
        }
        if ended { return nil }
        try await first?()
        while true {
            let part: InboundPart?
            do { part = try await inbound.next() } catch { throw HTTPServingError.translating(error) }
            switch part {
            case .bytes(let bytes)?:
                guard bytes.readableBytes > 0 else { continue }
                state.withLock { $0.bytesRead += bytes.readableBytes }
                return bytes
            case .end(let trailers)?:
                state.withLock {
                    $0.ended = true
                    $0.trailers = trailers
                }
                return nil
            case nil: throw HTTPServingError(.connectionClosed, "the connection ended within a body")
            case .request?, .response?, .frame?:
                throw HTTPServingError(.invalidState, "a message began within a body")
            }
        }
    }

    /// Throws away up to `maxBytes`; true when the message's end was reached.
    func drain(upTo maxBytes: Int) async -> Bool {
        state.withLock { $0.beforeFirstRead = nil }
        var left = maxBytes
        while left >= 0 {
            guard let part = try? await next() else { return ended }
            left -= part.readableBytes
        }
        return false
    }
}
