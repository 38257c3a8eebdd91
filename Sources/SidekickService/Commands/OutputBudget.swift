import Synchronization

/// What the outputs of all commands that answer at their end may take of the Sidekick's memory, whoever asks first.
///
/// An output is there several times over while its answer is made: as bytes, as text, as JSON and in the connection's
/// buffer. So this is a small part of what the compute has; if it were not, the host would end the whole sandbox for the
/// sake of a few answers.
package final class OutputBudget: Sendable {
    /// What each command may have beside it: few words get through, also while others hold all of it.
    let own: Int
    private let left: Mutex<Int>

    package init(_ shares: MemoryShares) {
        own = shares.foregroundOwn
        left = Mutex(shares.foregroundOutput)
    }

    /// - Returns: how much of it may be had, for as long as it is not given back.
    func borrow(_ bytes: Int) -> Int {
        left.withLock { left in
            let taken = min(bytes, left)
            left -= taken
            return taken
        }
    }

    func giveBack(_ bytes: Int) { left.withLock { $0 += bytes } }
}
