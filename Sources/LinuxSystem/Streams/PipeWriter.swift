import Glibc
import Synchronization

/// The writing end of a pipe: takes what is to go, never blocks, holds a bounded amount.
///
///     write ──▶ pending (bounded) ──▶ pipe ──▶ a process that reads when it likes, or never
///     finish ──▶ behind the last of it the end        the process closes its side ──▶ closed, the rest is dropped
package final class PipeWriter: Sendable {
    package enum Outcome: Hashable, Sendable {
        case taken
        /// The other side has not read for so long that there is no room; nothing was taken.
        case full
        /// Finished, or nobody reads any more.
        case closed
    }

    private struct State {
        /// -1: closed.
        var descriptor: Int32
        var token: Poller.Token?
        var pending: [UInt8] = []
        /// How much of `pending` has gone; moved forward instead of cutting the front of the array each time.
        var start = 0
        var isFinished = false
    }

    private let poller: Poller
    private let maxPending: Int
    private let state: Mutex<State>

    /// - Parameters:
    ///   - descriptor: becomes this writer's, which makes it non-blocking and closes it.
    ///   - maxPending: bytes kept while the other side does not read.
    package init(adopting descriptor: Int32, poller: Poller, maxPending: Int) throws(LinuxSystemError) {
        self.poller = poller
        self.maxPending = maxPending
        state = Mutex(State(descriptor: descriptor))
        // `deinit` runs after a throw as well, and closes it.
        try makeNonBlocking(descriptor)
        try state.withLock { state throws(LinuxSystemError) in
            // Nothing to write yet: only the other side's end would be told.
            state.token = try poller.add(descriptor, []) { [weak self] in self?.ready() }
        }
    }

    deinit { state.withLock { Self.end(&$0, poller) } }

    package func write(_ bytes: some Collection<UInt8>) -> Outcome {
        state.withLock { state in
            guard state.descriptor >= 0, !state.isFinished else { return .closed }
            guard state.pending.count - state.start + bytes.count <= maxPending else { return .full }
            state.pending += bytes
            flush(&state)
            return state.descriptor >= 0 ? .taken : .closed
        }
    }

    /// The other side gets its end behind what was written so far.
    package func finish() {
        state.withLock { state in
            guard state.descriptor >= 0 else { return }
            state.isFinished = true
            flush(&state)
        }
    }

    /// What has not gone is dropped.
    package func abandon() { state.withLock { Self.end(&$0, poller) } }

    private func ready() {
        state.withLock { state in
            // With nothing to write it is the other side that has gone.
            if state.start == state.pending.count { Self.end(&state, poller) } else { flush(&state) }
        }
    }

    private func flush(_ state: inout State) {
        while state.descriptor >= 0, state.start < state.pending.count {
            let count = state.pending[state.start...].withUnsafeBytes {
                Glibc.write(state.descriptor, $0.baseAddress, $0.count)
            }
            if count > 0 {
                state.start += count
            } else if count < 0, errno == EINTR {
                continue
            } else if count < 0, errno == EAGAIN {
                if let token = state.token { poller.arm(state.descriptor, token, .write) }
                return
            } else {
                Self.end(&state, poller)
            }
        }
        guard state.descriptor >= 0 else { return }
        state.pending = []
        state.start = 0
        if state.isFinished {
            Self.end(&state, poller)
        } else if let token = state.token {
            poller.arm(state.descriptor, token, [])
        }
    }

    private static func end(_ state: inout State, _ poller: Poller) {
        guard state.descriptor >= 0 else { return }
        if let token = state.token { poller.remove(state.descriptor, token) }
        close(state.descriptor)
        state.descriptor = -1
        state.pending = []
        state.start = 0
    }
}
