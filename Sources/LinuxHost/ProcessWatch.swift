import CLinux
import Glibc
import Synchronization

/// Waits for processes that are not our children to end: one thread for all of them, asleep until the kernel says so.
package final class ProcessWatch: Sendable {
    private let poll: Poll?

    package init() { poll = Poll() }

    deinit { poll?.stop() }

    /// Returns when the process has ended or is not there, or when the caller's task is cancelled.
    ///
    /// A zombie has ended. Who holds an id from a file must know that it still means the same process, for instance
    /// because the process is in a group of his own.
    package func ended(_ process: Int32) async {
        let descriptor = clinux_pidfd_open(process)
        if descriptor == -ESRCH { return }
        if descriptor >= 0 {
            if let poll, await poll.ready(descriptor) { return }
            close(descriptor)
        }
        await Self.endedByAsking(process)
    }

    /// Whether it is there and no zombie.
    package static func isRunning(_ process: Int32) -> Bool { ProcessStat(of: process)?.hasEnded == false }

    /// For kernels without pidfd.
    package static func endedByAsking(_ process: Int32, every pause: Duration = .milliseconds(50)) async {
        while isRunning(process) {
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }
}

/// The thread and who waits for it. A descriptor is armed once, reported once and then closed.
private final class Poll: Sendable {
    private let poll: Int32
    private let wakeUp: Int32
    private let state = Mutex(State())

    private struct State {
        var waiters: [UInt64: Waiter] = [:]
        var nextToken: UInt64 = 1
        var isRunning = false
    }

    private struct Waiter {
        var descriptor: Int32
        var continuation: CheckedContinuation<Bool, Never>
    }

    private static let wakeUpToken: UInt64 = 0

    init?() {
        poll = clinux_poll_open()
        guard poll >= 0 else { return nil }
        wakeUp = clinux_event_open()
        guard wakeUp >= 0, clinux_poll_set(poll, clinux_poll_add, wakeUp, Self.wakeUpToken, 1, 0) == 0 else {
            close(poll)
            if wakeUp >= 0 { close(wakeUp) }
            return nil
        }
    }

    deinit {
        close(wakeUp)
        close(poll)
    }

    /// The thread holds this object until then.
    func stop() { clinux_event_raise(wakeUp) }

    /// Takes the descriptor over, unless it returns false: this machine has no room for a thread.
    func ready(_ descriptor: Int32) async -> Bool {
        let token = state.withLock { state in
            defer { state.nextToken += 1 }
            return state.nextToken
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let accepted = state.withLock { state in
                    if !state.isRunning { state.isRunning = startThread() }
                    guard state.isRunning, !Task.isCancelled,
                        clinux_poll_set(poll, clinux_poll_add, descriptor, token, 1, 0) == 0
                    else { return false }
                    state.waiters[token] = Waiter(descriptor: descriptor, continuation: continuation)
                    return true
                }
                if !accepted { continuation.resume(returning: false) }
            }
        } onCancel: {
            finish(token)
        }
    }

    private func finish(_ token: UInt64) {
        let waiter = state.withLock { $0.waiters.removeValue(forKey: token) }
        guard let waiter else { return }
        // Closing takes it out of the poll as well.
        close(waiter.descriptor)
        waiter.continuation.resume(returning: true)
    }

    private func startThread() -> Bool { ThreadOfItsOwn.start("process-watch") { self.run() } == 0 }

    private func run() {
        var tokens = [UInt64](repeating: 0, count: 64)
        while true {
            let count = clinux_poll_wait(poll, &tokens, Int32(tokens.count))
            for token in tokens.prefix(Int(count)) {
                guard token != Self.wakeUpToken else { return }
                finish(token)
            }
        }
    }
}
