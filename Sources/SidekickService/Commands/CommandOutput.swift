import LinuxSystem
import Synchronization

/// Both outputs of one command, from its start until they are settled.
final class CommandOutput: Sendable {
    private struct State {
        var stdout = OutputCapture()
        var stderr = OutputCapture()
        var open = 2
    }
    private enum Side { case stdout, stderr }

    private let state = Mutex(State())
    private let ended = OneShot<Void>()

    /// Takes the reading ends. Neither may be closed by the caller afterwards.
    func read(_ stdout: Int32, _ stderr: Int32, _ poller: Poller) throws(LinuxSystemError) -> [DescriptorStream] {
        let first: DescriptorStream
        do throws(LinuxSystemError) {
            first = try DescriptorStream(adopting: stdout, poller: poller) { self.received($0, .stdout) }
        } catch {
            closeDescriptor(stderr)
            throw error
        }
        return [first, try DescriptorStream(adopting: stderr, poller: poller) { self.received($0, .stderr) }]
    }

    private func received(_ event: DescriptorStream.Event, _ side: Side) {
        switch event {
        case .bytes(let bytes):
            state.withLock { state in
                switch side {
                case .stdout: state.stdout.append(bytes)
                case .stderr: state.stderr.append(bytes)
                }
            }
        case .end:
            let open = state.withLock { state in
                state.open -= 1
                return state.open
            }
            if open == 0 { ended.set(()) }
        }
    }

    /// Called once the process has exited.
    func settle(_ streams: [DescriptorStream]) async { await OutputSettling.settle(streams, ended: ended) }

    func texts() -> (stdout: OutputCapture.Text, stderr: OutputCapture.Text) {
        state.withLock { state in
            let captures = (state.stdout, state.stderr)
            state.stdout = OutputCapture()
            state.stderr = OutputCapture()
            return (captures.0.text(), captures.1.text())
        }
    }
}
