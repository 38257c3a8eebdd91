import CLinux
import Glibc

/// A new pipe, both ends close-on-exec. Whoever makes it closes both.
package struct Pipe: Sendable {
    package let readEnd: Int32
    package let writeEnd: Int32

    package static func open() throws(LinuxSystemError) -> Pipe {
        var readEnd: Int32 = -1
        var writeEnd: Int32 = -1
        let failure = clinux_pipe(&readEnd, &writeEnd)
        guard failure == 0 else { throw LinuxSystemError(.init(errno: -failure), "pipe") }
        return Pipe(readEnd: readEnd, writeEnd: writeEnd)
    }
}

/// `/dev/null` for a process that gets no input.
package func openNullDevice() throws(LinuxSystemError) -> Int32 {
    let descriptor = open("/dev/null", O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { throw .last("open", "/dev/null") }
    return descriptor
}

/// A read or write that would wait fails with EAGAIN from now on, whoever makes it.
func makeNonBlocking(_ descriptor: Int32) throws(LinuxSystemError) {
    var on: CInt = 1
    guard ioctl(descriptor, UInt(FIONBIO), &on) == 0 else { throw .last("ioctl") }
}

/// `close`, for descriptors that no owner type holds. Its error says nothing about the descriptor: it is gone.
package func closeDescriptor(_ descriptor: Int32) { _ = close(descriptor) }
