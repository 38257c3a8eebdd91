import LinuxSystem
import Synchronization

/// Both outputs of one command, from its start until its answer is out.
package final class CommandOutput: Sendable {
    private struct State {
        var stdout = OutputCapture()
        var stderr = OutputCapture()
        var own: Int
        var borrowed = 0
        var isReleased = false
    }

    private let budget: OutputBudget
    private let state: Mutex<State>

    init(budget: OutputBudget) {
        self.budget = budget
        state = Mutex(State(own: budget.own))
    }

    /// - Parameter stream: 0 is stdout, 1 stderr.
    func received(_ bytes: UnsafeRawBufferPointer, _ stream: Int) {
        state.withLock { state in
            guard !state.isReleased else { return }
            var (own, borrowed) = (0, 0)
            let left = state.own
            func borrow(_ bytes: Int) -> Int {
                own = min(bytes, left)
                borrowed = budget.borrow(bytes - own)
                return own + borrowed
            }
            if stream == 0 {
                state.stdout.append(bytes, borrow: borrow)
            } else {
                state.stderr.append(bytes, borrow: borrow)
            }
            state.own -= own
            state.borrowed += borrowed
        }
    }

    /// Once.
    func texts() -> (stdout: OutputCapture.Text, stderr: OutputCapture.Text) {
        state.withLock { state in
            let captures = (state.stdout, state.stderr)
            state.stdout = OutputCapture()
            state.stderr = OutputCapture()
            return (captures.0.text(), captures.1.text())
        }
    }

    /// The answer is out, or there will be none.
    func release() {
        let borrowed = state.withLock { state in
            state.isReleased = true
            defer { state.borrowed = 0 }
            return state.borrowed
        }
        budget.giveBack(borrowed)
    }
}
