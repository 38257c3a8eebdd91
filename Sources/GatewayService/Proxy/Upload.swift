import HTTPServing
import NIOCore
import Synchronization

/// The request's body on its way to the upstream.
final class Upload: Sendable {
    private struct State {
        var lastMove = ContinuousClock.now
        var isComplete = false
        var waitsForClient = true
        var clientError: (any Error)?
    }
    private let state = Mutex(State())

    /// When a part of the request was last taken by the upstream.
    var lastMove: ContinuousClock.Instant { state.withLock { $0.lastMove } }
    var isComplete: Bool { state.withLock { $0.isComplete } }
    /// The upstream took everything so far, and it is the client who does not go on.
    var waitsForClient: Bool { state.withLock { $0.waitsForClient } }
    /// Why the client's body ended before its end.
    var clientError: (any Error)? { state.withLock { $0.clientError } }

    /// Sends everything. A failure to send is no error here: the upstream may have answered without reading on.
    func pump(_ exchange: HTTPExchange, to connection: HTTPClientConnection) async {
        let body = exchange.body
        var parts = body.makeAsyncIterator()
        while true {
            do {
                let part = try await parts.next()
                state.withLock { $0.waitsForClient = false }
                guard let part else { break }
                do { try await connection.sendBody(part) } catch { return }
                state.withLock {
                    $0.lastMove = .now
                    $0.waitsForClient = true
                }
            } catch {
                // Cancelled: the answer is complete, or the client is gone and everything ends anyway.
                guard !Task.isCancelled else { return }
                state.withLock { $0.clientError = error }
                // Half a request must not stay with the upstream, nor the answer be waited for.
                await connection.close()
                return
            }
        }
        do { try await connection.finish(trailers: HeaderRewriting.trailers(body.trailers)) } catch { return }
        state.withLock {
            $0.lastMove = .now
            $0.isComplete = true
        }
    }
}
