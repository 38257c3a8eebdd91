import CLinux
import Glibc

/// One connection of a Unix stream socket, whose messages are frames: a kind, a length, bytes. Every call blocks.
///
/// Its descriptor is closed when nobody holds it any more; `hangUp` from any thread ends all that others do with it.
package final class LocalConnection: Sendable {
    package struct Frame: Hashable, Sendable {
        package let kind: UInt8
        package let bytes: [UInt8]

        package init(_ kind: UInt8, _ bytes: [UInt8] = []) {
            self.kind = kind
            self.bytes = bytes
        }

        var header: [UInt8] {
            let count = UInt32(bytes.count)
            return [kind] + (0..<4).map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) }
        }
    }

    private let raw: Int32

    init(adopting raw: Int32) { self.raw = raw }
    deinit { close(raw) }

    package static func connect(to path: String) throws(LinuxSystemError) -> LocalConnection {
        let raw = clinux_local_connect(path)
        guard raw >= 0 else { throw LinuxSystemError(.init(errno: -raw), "connect", path) }
        return LocalConnection(adopting: raw)
    }

    /// Who connected, as far as the kernel tells: gVisor names the asker.
    package func peerUID() throws(LinuxSystemError) -> UInt32 {
        var uid: uid_t = 0
        let failure = clinux_local_peer(raw, &uid)
        guard failure == 0 else { throw LinuxSystemError(.init(errno: -failure), "peer") }
        return uid
    }

    package func hangUp() { _ = shutdown(raw, Int32(SHUT_RDWR)) }

    // MARK: Sending

    package func send(_ frame: Frame) throws(LinuxSystemError) { try send(frame.header + frame.bytes) }

    /// For an answer to somebody who may not read it: what does not fit is lost.
    package func sendWithoutWaiting(_ frame: Frame) {
        let bytes = frame.header + frame.bytes
        _ = clinux_local_send(raw, bytes, bytes.count, 0)
    }

    /// With the sender's identity, and descriptors that stay the caller's: three of them.
    package func send(_ frame: Frame, descriptors: [Int32]) throws(LinuxSystemError) {
        precondition(descriptors.count == clinux_passed_descriptors)
        let header = frame.header
        let sent = clinux_send_descriptors(raw, header, header.count, descriptors)
        guard sent >= 0 else { throw LinuxSystemError(.init(errno: Int32(-sent)), "send") }
        try send(Array(header.dropFirst(sent)) + frame.bytes)
    }

    private func send(_ bytes: [UInt8]) throws(LinuxSystemError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { clinux_local_send(raw, $0.baseAddress, $0.count, 1) }
            guard sent >= 0 else { throw LinuxSystemError(.init(errno: Int32(-sent)), "send") }
            rest = rest.dropFirst(sent)
        }
    }

    // MARK: Receiving

    /// nil: the other side has closed. Throws EPROTO for a frame beyond the limit, EAGAIN at the deadline.
    package func receive(
        limit: Int, deadline: ContinuousClock.Instant? = nil
    ) throws(LinuxSystemError) -> Frame? {
        guard let header = try receive(5, deadline) else { return nil }
        return try body(header, limit, deadline)
    }

    /// A first frame that comes with the sender's identity and three descriptors, which become the caller's.
    package func receiveWithDescriptors(
        limit: Int, deadline: ContinuousClock.Instant
    ) throws(LinuxSystemError) -> (frame: Frame, descriptors: [Int32], uid: UInt32) {
        var header = [UInt8](repeating: 0, count: 5)
        var descriptors = [Int32](repeating: -1, count: Int(clinux_passed_descriptors))
        var uid: uid_t = 0
        try waitAtMost(until: deadline)
        let count = clinux_receive_descriptors(raw, &header, header.count, &descriptors, &uid)
        guard count > 0 else { throw LinuxSystemError(.init(errno: Int32(-count)), "receive") }
        do throws(LinuxSystemError) {
            let rest = count < header.count ? try receive(header.count - count, deadline) : []
            guard let rest, let frame = try body(header.prefix(count) + rest, limit, deadline) else {
                throw LinuxSystemError(.init(errno: EPROTO), "receive")
            }
            return (frame, descriptors, uid)
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
    }

    private func body(
        _ header: [UInt8], _ limit: Int, _ deadline: ContinuousClock.Instant?
    ) throws(LinuxSystemError) -> Frame? {
        let count = Int(header[1]) | Int(header[2]) << 8 | Int(header[3]) << 16 | Int(header[4]) << 24
        guard count <= limit else { throw LinuxSystemError(.init(errno: EPROTO), "receive") }
        return try receive(count, deadline).map { Frame(header[0], $0) }
    }

    /// Descriptors that come here, uncalled for, are closed by the kernel.
    private func receive(_ count: Int, _ deadline: ContinuousClock.Instant?) throws(LinuxSystemError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            try waitAtMost(until: deadline)
            let received = bytes.withUnsafeMutableBytes { recv(raw, $0.baseAddress! + filled, count - filled, 0) }
            if received < 0, errno == EINTR { continue }
            guard received >= 0 else { throw .last("receive") }
            if received == 0 { return nil }
            filled += received
        }
        return bytes
    }

    private func waitAtMost(until deadline: ContinuousClock.Instant?) throws(LinuxSystemError) {
        var milliseconds: Int32 = 0
        if let deadline {
            let left = (deadline - .now).components
            guard left.seconds >= 0, left.attoseconds >= 0 else {
                throw LinuxSystemError(.init(errno: EAGAIN), "receive")
            }
            milliseconds = Int32(clamping: left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1)
        }
        let failure = clinux_set_receive_timeout(raw, milliseconds)
        guard failure == 0 else { throw LinuxSystemError(.init(errno: -failure), "receive") }
    }
}
