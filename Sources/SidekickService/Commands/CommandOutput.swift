import LinuxSystem
import Synchronization

/// Both outputs of one command, from its start until they are settled.
final class CommandOutput: Sendable {
    private struct State {
        var stdout = OutputCapture()
        var stderr = OutputCapture()
        var open = 2
    }

    private let state = Mutex(State())
    private let ended = OneShot<Void>()

    /// - Parameter stream: 0 is stdout, 1 stderr.
    func received(_ event: DescriptorStream.Event, _ stream: Int) {
        switch event {
        case .bytes(let bytes):
            state.withLock { state in
                if stream == 0 { state.stdout.append(bytes) } else { state.stderr.append(bytes) }
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
