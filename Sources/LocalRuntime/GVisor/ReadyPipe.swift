import CLinux
import ComputeRuntime
import FoundationEssentials
import Glibc
import SystemPackage

/// Where a Sidekick says, in one line on its stdout, that both of its listeners accept connections.
///
/// Only that line is read: nothing comes after it, and whoever outlives us has a broken pipe there anyway.
struct ReadyPipe: ~Copyable {
    private let readEnd: Int32
    let writeEnd: FileDescriptor
    private static let maximumLine = 64 << 10

    init() throws(RuntimeError) {
        var writeEnd: Int32 = -1
        var readEnd: Int32 = -1
        guard clinux_pipe(&readEnd, &writeEnd) == 0 else { throw RuntimeError(.unavailable, "cannot make a pipe") }
        self.readEnd = readEnd
        self.writeEnd = FileDescriptor(rawValue: writeEnd)
    }

    deinit {
        close(readEnd)
        try? writeEnd.close()
    }

    /// A copy of its own for a reader on another thread, while this one is closed as a whole.
    private func reader() -> Int32 { fcntl(readEnd, F_DUPFD_CLOEXEC, 0) }

    /// Waits for the line, after the write end was handed over. Ends early when the other side does, or the task is
    /// cancelled.
    consuming func waitUntilReady(deadline: ContinuousClock.Instant) async throws(RuntimeError) {
        let reader = reader()
        // With ours closed the pipe ends when the container does.
        try? writeEnd.close()
        close(readEnd)
        discard self
        let canceller = Canceller()
        let isReady = await withTaskCancellationHandler {
            await BlockingThreads.run {
                defer { close(reader) }
                return Self.sawReady(reader, deadline, canceller)
            }
        } onCancel: {
            canceller.cancel()
        }
        guard isReady else {
            let isLate = ContinuousClock.now >= deadline
            throw RuntimeError(
                isLate ? .deadlineExceeded : .unavailable,
                isLate ? "the Sidekick was not ready in time" : "the Sidekick ended before it was ready")
        }
    }

    private static func sawReady(
        _ reader: Int32, _ deadline: ContinuousClock.Instant, _ canceller: Canceller
    ) -> Bool {
        var line: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while ContinuousClock.now < deadline, !canceller.isCancelled, line.count < maximumLine {
            var ask = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
            // Short, because that is how long a cancelled start goes on.
            guard poll(&ask, 1, 100) > 0 else { continue }
            let count = read(reader, &chunk, chunk.count)
            guard count > 0 else { return false }
            line += chunk[..<count]
            while let end = line.firstIndex(of: UInt8(ascii: "\n")) {
                let ready = try? JSONDecoder().decode(Ready.self, from: Data(line[..<end]))
                if ready?.ready == true { return true }
                line.removeFirst(end + 1)
            }
        }
        return false
    }

    private struct Ready: Decodable { var ready: Bool }
}
