import CLinux
import Synchronization

/// One thread that waits for many descriptors.
///
/// The outputs of processes are read here and not on event loops: a PTY master is neither a pipe nor a socket for
/// them (its end is an error, EIO), and what a process writes must not take turns away from connections.
/// Each registration is one-shot: after a call it is silent until armed again, so a handler that stops asking stops
/// the writer at the other end by the kernel's own back-pressure.
package final class Poller: Sendable {
    package struct Interest: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let read = Interest(rawValue: 1)
        package static let write = Interest(rawValue: 2)
    }

    package struct Token: Hashable, Sendable { fileprivate let value: UInt64 }

    private struct State {
        var next: UInt64 = 1
        var handlers: [UInt64: @Sendable () -> Void] = [:]
    }

    private let epoll: Int32
    private let state = Mutex(State())

    private init(epoll: Int32) { self.epoll = epoll }

    /// It lives as long as the process.
    package static func start() throws(LinuxSystemError) -> Poller {
        let epoll = clinux_poll_open()
        guard epoll >= 0 else { throw LinuxSystemError(.init(errno: -epoll), "epoll_create") }
        let poller = Poller(epoll: epoll)
        try OwnThread.start("poller") { poller.run() }
        return poller
    }

    /// - Parameter ready: runs on the poller's thread and must not block; it tries and arms again.
    package func add(
        _ descriptor: Int32, _ interest: Interest, ready: @escaping @Sendable () -> Void
    ) throws(LinuxSystemError) -> Token {
        let token = state.withLock { state in
            let token = Token(value: state.next)
            state.next += 1
            state.handlers[token.value] = ready
            return token
        }
        let failure = control(clinux_poll_add, descriptor, token, interest)
        guard failure == 0 else {
            state.withLock { _ = $0.handlers.removeValue(forKey: token.value) }
            throw LinuxSystemError(.init(errno: -failure), "epoll_ctl")
        }
        return token
    }

    /// Callers serialize `arm` and `remove` of one descriptor by a lock of their own.
    package func arm(_ descriptor: Int32, _ token: Token, _ interest: Interest) {
        _ = control(clinux_poll_change, descriptor, token, interest)
    }

    /// Before the descriptor is closed. A call of the handler may still be under way.
    package func remove(_ descriptor: Int32, _ token: Token) {
        _ = control(clinux_poll_remove, descriptor, token, [])
        state.withLock { _ = $0.handlers.removeValue(forKey: token.value) }
    }

    private func control(
        _ operation: clinux_poll_operation, _ descriptor: Int32, _ token: Token, _ interest: Interest
    ) -> Int32 {
        clinux_poll_set(
            epoll, operation, descriptor, token.value, interest.contains(.read) ? 1 : 0,
            interest.contains(.write) ? 1 : 0)
    }

    private func run() -> Never {
        var ready = [UInt64](repeating: 0, count: 64)
        while true {
            let count = clinux_poll_wait(epoll, &ready, Int32(ready.count))
            for token in ready[..<Int(count)] {
                let handler = state.withLock { $0.handlers[token] }
                handler?()
            }
        }
    }
}
