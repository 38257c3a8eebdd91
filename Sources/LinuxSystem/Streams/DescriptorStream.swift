import Glibc
import Synchronization

/// A pipe's or a terminal's end: delivers what comes, takes what goes, never blocks, holds a bounded amount.
package final class DescriptorStream: Sendable {
    package enum Event {
        /// Valid during the call only.
        case bytes(UnsafeRawBufferPointer)
        /// The last event.
        case end
    }

    private struct State {
        /// -1: ended.
        var descriptor: Int32
        var token: Poller.Token?
        var lastBytes = ContinuousClock.now
        var isPaused = false
        var pendingInput: [UInt8] = []
        /// How much of `pendingInput` has gone; moved forward instead of cutting the front of the array each time.
        var pendingStart = 0
    }

    private let poller: Poller
    private let maxPendingInput: Int
    private let receive: @Sendable (Event) -> Void
    private let pause: @Sendable (_ bytes: Int) -> Duration
    private let state: Mutex<State>

    /// - Parameters:
    ///   - descriptor: becomes this stream's, which makes it non-blocking and closes it.
    ///   - maxPendingInput: what is kept while the other side does not read.
    ///   - receive: called in order, one at a time, **under the stream's lock** (that is what keeps the order between
    ///     the poller's thread and `finish`): it must be quick, and not call back into this stream.
    ///   - pause: asked after some bytes have come, under the same lock: how long to leave the next ones where they are.
    package init(
        adopting descriptor: Int32, poller: Poller, maxPendingInput: Int = 0,
        pause: @escaping @Sendable (_ bytes: Int) -> Duration = { _ in .zero },
        receive: @escaping @Sendable (Event) -> Void
    ) throws(LinuxSystemError) {
        self.poller = poller
        self.maxPendingInput = maxPendingInput
        self.receive = receive
        self.pause = pause
        state = Mutex(State(descriptor: descriptor))
        // `deinit` runs after a throw as well, and closes it.
        try makeNonBlocking(descriptor)
        try state.withLock { state throws(LinuxSystemError) in
            state.token = try poller.add(descriptor, .read) { [weak self] in self?.ready() }
        }
    }

    deinit { state.withLock { end(&$0, tell: false) } }

    /// When the last bytes came.
    package var lastBytes: ContinuousClock.Instant { state.withLock { $0.lastBytes } }

    /// - Parameter echo: how long to wait for an answer, **blocking**: what a terminal shows of a key comes within
    ///   microseconds, and read here it saves two switches between threads, which take longer than that.
    /// - Returns: false when the other side has not read for so long that there is no room; nothing was taken.
    package func write(_ bytes: some Collection<UInt8>, awaitingEcho echo: Duration = .zero) -> Bool {
        state.withLock { state in
            guard state.descriptor >= 0 else { return true }
            guard state.pendingInput.count - state.pendingStart + bytes.count <= maxPendingInput else { return false }
            state.pendingInput += bytes
            let waits = echo > .zero && !state.isPaused
            // Else the poller's thread would be woken as well.
            if waits, let token = state.token { poller.arm(state.descriptor, token, []) }
            flush(&state)
            goOn(after: waits ? readEcho(&state, within: echo) : 0, &state)
            return true
        }
    }

    private func readEcho(_ state: inout State, within limit: Duration) -> Int {
        let deadline = ContinuousClock.now + limit
        while state.descriptor >= 0 {
            let count = read(&state, upTo: 1 << 16)
            if count > 0 || ContinuousClock.now >= deadline { return count }
            // Whoever answers may need this very core.
            sched_yield()
        }
        return 0
    }

    /// Drops what the other side has not read, and delivers `bytes` as if they had come from it.
    package func dropInput(showing bytes: [UInt8]) {
        state.withLock { state in
            guard state.descriptor >= 0 else { return }
            state.pendingInput = []
            state.pendingStart = 0
            if !bytes.isEmpty { bytes.withUnsafeBytes { receive(.bytes($0)) } }
        }
    }

    /// Delivers what is there now, on the caller's thread.
    package func readNow() {
        state.withLock { state in
            guard state.descriptor >= 0, !state.isPaused else { return }
            read(&state, upTo: 1 << 18)
        }
    }

    /// Delivers what is there now, then ends, whoever else may still hold the other side.
    package func finish() {
        state.withLock { state in
            guard state.descriptor >= 0 else { return }
            // No writer that is gone can have left more than a pipe holds, and one that is not gone must not keep us.
            read(&state, upTo: 1 << 20)
            end(&state, tell: true)
        }
    }

    /// The descriptor, for calls that do not block; not called after the end.
    package func withDescriptor(_ body: (Int32) -> Void) {
        state.withLock { state in
            if state.descriptor >= 0 { body(state.descriptor) }
        }
    }

    private func ready() {
        state.withLock { state in
            guard state.descriptor >= 0 else { return }
            flush(&state)
            // A share, then the next descriptor's turn.
            goOn(after: read(&state, upTo: 1 << 18), &state)
        }
    }

    private func goOn(after count: Int, _ state: inout State) {
        let pause = count > 0 ? pause(count) : .zero
        if pause > .zero { paused(for: pause, &state) } else { arm(&state) }
    }

    /// The descriptor is not armed meanwhile, so the kernel holds back whoever writes.
    private func paused(for pause: Duration, _ state: inout State) {
        state.isPaused = true
        // At a shell's edge: it ends by itself after one sleep.
        Task { [weak self] in
            try? await Task.sleep(for: pause)
            self?.state.withLock { state in
                state.isPaused = false
                self?.arm(&state)
            }
        }
    }

    private func arm(_ state: inout State) {
        guard state.descriptor >= 0, !state.isPaused, let token = state.token else { return }
        let waiting = state.pendingStart < state.pendingInput.count
        poller.arm(state.descriptor, token, waiting ? [.read, .write] : .read)
    }

    /// - Returns: how many bytes came.
    @discardableResult private func read(_ state: inout State, upTo limit: Int) -> Int {
        var total = 0
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { buffer in
            while total < limit {
                let count = Glibc.read(state.descriptor, buffer.baseAddress, buffer.count)
                if count > 0 {
                    total += count
                    state.lastBytes = .now
                    receive(.bytes(UnsafeRawBufferPointer(rebasing: buffer[..<count])))
                } else if count < 0, errno == EINTR {
                    continue
                } else if count < 0, errno == EAGAIN {
                    return
                } else {
                    // The end; a terminal says it as EIO.
                    end(&state, tell: true)
                    return
                }
            }
        }
        return total
    }

    private func flush(_ state: inout State) {
        while state.pendingStart < state.pendingInput.count {
            let count = state.pendingInput[state.pendingStart...].withUnsafeBytes {
                Glibc.write(state.descriptor, $0.baseAddress, $0.count)
            }
            if count > 0 {
                state.pendingStart += count
            } else if count < 0, errno == EINTR {
                continue
            } else if count < 0, errno == EAGAIN {
                return
            } else {
                break  // nobody reads any more; the reading side will tell
            }
        }
        state.pendingInput.removeAll(keepingCapacity: false)
        state.pendingStart = 0
    }

    private func end(_ state: inout State, tell: Bool) {
        guard state.descriptor >= 0 else { return }
        if let token = state.token { poller.remove(state.descriptor, token) }
        close(state.descriptor)
        state.descriptor = -1
        state.pendingInput = []
        state.pendingStart = 0
        if tell { receive(.end) }
    }
}
