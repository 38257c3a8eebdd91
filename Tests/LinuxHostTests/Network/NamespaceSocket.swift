import Foundation
import Glibc
import Synchronization

/// A socket that lives in a network namespace, whoever holds its descriptor: a namespace is chosen when a socket is
/// made, so one process can be a container, its neighbour and the rest of the world.
final class NamespaceSocket: Sendable {
    enum Outcome: Hashable {
        case connected
        case failed(Int32)
        case timedOut
    }

    let descriptor: Int32
    let port: UInt16
    /// Who asked last.
    private let asker = Mutex<sockaddr_in?>(nil)

    private init(_ descriptor: Int32, port: UInt16) {
        self.descriptor = descriptor
        self.port = port
    }

    deinit { close(descriptor) }

    /// - Parameters:
    ///   - namespace: path of its file; nil is this machine's own.
    ///   - address: IPv4, or IPv6 when it has a colon.
    static func listening(
        in namespace: String?, at address: String, port: UInt16 = 0, datagrams: Bool = false
    ) throws -> NamespaceSocket {
        try inside(namespace) {
            let descriptor = try make(address, datagrams: datagrams)
            var one: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
            try check(with(address, port) { Glibc.bind(descriptor, $0, $1) }, "bind \(address)", closing: descriptor)
            if !datagrams { try check(listen(descriptor, 16), "listen", closing: descriptor) }
            var bound = sockaddr_in6()
            var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            withUnsafeMutablePointer(to: &bound) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
            }
            return NamespaceSocket(descriptor, port: UInt16(bigEndian: bound.sin6_port))
        }
    }

    /// Tries to reach an address from a namespace, for at most `patience` milliseconds.
    static func connect(
        from namespace: String?, to address: String, port: UInt16, patience: Int32 = 1000
    ) throws -> Outcome {
        try inside(namespace) {
            let descriptor = try make(address, datagrams: false)
            defer { close(descriptor) }
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            if with(address, port, { Glibc.connect(descriptor, $0, $1) }) == 0 { return .connected }
            guard errno == EINPROGRESS else { return .failed(errno) }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&waiting, 1, patience) == 1 else { return .timedOut }
            var reason: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &reason, &length)
            return reason == 0 ? .connected : .failed(reason)
        }
    }

    /// Whether it can be reached, with the time that a busy machine and a lost first packet take.
    static func reaches(_ address: String, port: UInt16, from namespace: String?) throws -> Bool {
        try connect(from: namespace, to: address, port: port, patience: 20_000) == .connected
    }

    /// Tries again and again, for at most five seconds: the kernel gives an IPv6 address its route some time after
    /// `ip addr add` has returned, and what is sent before that goes to the network and is lost.
    static func connectOnceRouted(from namespace: String?, to address: String, port: UInt16) throws -> Outcome {
        var outcome = Outcome.timedOut
        for _ in 0..<25 {
            outcome = try connect(from: namespace, to: address, port: port, patience: 200)
            if outcome == .connected { break }
            if outcome != .timedOut { usleep(200_000) }
        }
        return outcome
    }

    /// A connection that stays.
    static func connected(from namespace: String?, to address: String, port: UInt16) throws -> NamespaceSocket {
        try inside(namespace) {
            let descriptor = try make(address, datagrams: false)
            try check(with(address, port) { Glibc.connect(descriptor, $0, $1) }, "connect", closing: descriptor)
            return NamespaceSocket(descriptor, port: 0)
        }
    }

    /// The connection that comes next.
    func accepted(patience: Int32 = 5000) -> NamespaceSocket? {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, patience) == 1 else { return nil }
        let accepted = accept(descriptor, nil, nil)
        return accepted < 0 ? nil : NamespaceSocket(accepted, port: 0)
    }

    enum Heard: Hashable {
        case text(String)
        case ended(Int32)
        case nothing
    }

    @discardableResult
    func say(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    func hear(patience: Int32) -> Heard {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, patience) == 1 else { return .nothing }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return .ended(count == 0 ? 0 : errno) }
        return .text(String(decoding: bytes[..<count], as: UTF8.self))
    }

    /// Sends one datagram. That it cannot be sent is as good as that it does not arrive.
    static func send(_ text: String, from namespace: String?, to address: String, port: UInt16) throws {
        try inside(namespace) {
            let descriptor = try make(address, datagrams: true)
            defer { close(descriptor) }
            let bytes = Array(text.utf8)
            _ = with(address, port) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
        }
    }

    /// - Returns: the IPv4 address of who connected or sent, and what it sent; nil when nobody does in time.
    func next(patience: Int32) -> (peer: String, text: String)? {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, patience) == 1 else { return nil }
        var peer = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = withUnsafeMutablePointer(to: &peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                let accepted = accept(descriptor, pointer, &length)
                if accepted >= 0 {
                    close(accepted)
                    return 0
                }
                return recvfrom(descriptor, &bytes, bytes.count, 0, pointer, &length)
            }
        }
        let address = UInt32(bigEndian: peer.sin_addr.s_addr)
        return (
            [24, 16, 8, 0].map { String(address >> UInt32($0) & 255) }.joined(separator: "."),
            String(decoding: bytes[..<max(0, count)], as: UTF8.self)
        )
    }

    // MARK: - Questions and answers

    /// As `send`, through a socket that is there.
    static func sendDatagram(_ text: String, through socket: NamespaceSocket, to address: String, port: UInt16) {
        let bytes = Array(text.utf8)
        _ = with(address, port) { sendto(socket.descriptor, bytes, bytes.count, 0, $0, $1) }
    }

    /// - Returns: false when no question came.
    func answer(_ text: String, patience: Int32) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, patience) == 1 else { return false }
        var peer = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = withUnsafeMutablePointer(to: &peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &bytes, bytes.count, 0, $0, &length)
            }
        }
        guard count >= 0 else { return false }
        asker.withLock { $0 = peer }
        return repeatAnswer(text)
    }

    func repeatAnswer(_ text: String) -> Bool {
        guard var peer = asker.withLock({ $0 }) else { return false }
        let bytes = Array(text.utf8)
        return withUnsafePointer(to: &peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        } == bytes.count
    }

    // MARK: - Namespaces

    /// Runs `body` on a thread of its own that has entered the namespace, and ends with it.
    static func inside<Result: Sendable>(
        _ namespace: String?, _ body: @escaping @Sendable () throws -> Result
    ) throws -> Result {
        let box = Box<Result>()
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            let result = Swift.Result {
                if let namespace {
                    let file = open(namespace, O_RDONLY | O_CLOEXEC)
                    try check(file, "open \(namespace)")
                    defer { close(file) }
                    try check(setNamespace(file, 0x4000_0000), "enter \(namespace)")
                }
                return try body()
            }
            box.result.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        return try box.result.withLock { try $0!.get() }
    }

    /// setns(2) with CLONE_NEWNET; the header hides it from Swift by a condition.
    private static func setNamespace(_ file: Int32, _ kind: Int32) -> Int32 {
        typealias Call = @convention(c) (Int32, Int32) -> Int32
        return unsafeBitCast(dlsym(nil, "setns"), to: Call.self)(file, kind)
    }

    private final class Box<Value: Sendable>: Sendable {
        let result = Mutex<Swift.Result<Value, any Error>?>(nil)
    }

    private static func make(_ address: String, datagrams: Bool) throws -> Int32 {
        let kind = Int32((datagrams ? SOCK_DGRAM : SOCK_STREAM).rawValue)
        let descriptor = socket(address.contains(":") ? AF_INET6 : AF_INET, kind | Int32(SOCK_CLOEXEC.rawValue), 0)
        try check(descriptor, "socket")
        return descriptor
    }

    private static func with<Result>(
        _ address: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        if address.contains(":") {
            var wide = sockaddr_in6()
            wide.sin6_family = sa_family_t(AF_INET6)
            wide.sin6_port = port.bigEndian
            inet_pton(AF_INET6, address, &wide.sin6_addr)
            return withUnsafePointer(to: &wide) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
        var narrow = sockaddr_in()
        narrow.sin_family = sa_family_t(AF_INET)
        narrow.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &narrow.sin_addr)
        return withUnsafePointer(to: &narrow) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    struct Refused: Error, CustomStringConvertible { var description: String }

    private static func check(_ status: Int32, _ what: String, closing descriptor: Int32? = nil) throws {
        guard status < 0 else { return }
        let reason = String(cString: strerror(errno))
        if let descriptor { close(descriptor) }
        throw Refused(description: "\(what): \(reason)")
    }
}
