import CLinux
import Glibc

/// A stream of bytes and descriptors between us and a process of ours. Our end never blocks.
package struct SocketPair: Sendable {
    /// Both are close-on-exec.
    package let ours: SharedDescriptor
    package let its: SharedDescriptor

    package init() throws(LinuxSystemError) {
        var ends: [Int32] = [-1, -1]
        let failure = clinux_local_pair(&ends)
        guard failure == 0 else { throw LinuxSystemError(.init(errno: -failure), "socketpair") }
        ours = SharedDescriptor(FileDescriptor(adopting: ends[0]))
        its = SharedDescriptor(FileDescriptor(adopting: ends[1]))
    }

    /// - Parameter descriptors: three, which travel with `head`.
    /// - Returns: false when it has not all gone, because nobody is there or nobody reads.
    package static func send(_ head: [UInt32], _ bytes: [UInt8], descriptors: [Int32], to socket: Int32) -> Bool {
        precondition(descriptors.count == Int(clinux_passed_descriptors))
        let size = head.count * MemoryLayout<UInt32>.size
        guard clinux_send_descriptors(socket, head, size, descriptors) == size else { return false }
        return clinux_local_send(socket, bytes, bytes.count, 0) == bytes.count
    }

    /// Sends one byte, and **blocks** until something comes back. One at a time.
    /// - Returns: false when nothing has within `limit`.
    package static func ask(_ byte: UInt8, of socket: Int32, within limit: Duration) -> Bool {
        // What came too late for the last one.
        _ = receive(from: socket, upTo: 64)
        guard clinux_local_send(socket, [byte], 1, 0) == 1 else { return false }
        var answer = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&answer, 1, Int32(limit / .milliseconds(1))) > 0 else { return false }
        return !receive(from: socket, upTo: 64).isEmpty
    }

    /// What is there, as text.
    package static func receive(from socket: Int32, upTo limit: Int) -> String {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(socket, &bytes, limit, Int32(MSG_DONTWAIT))
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
