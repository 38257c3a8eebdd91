import CLinux

/// Signals to this process as something to pass on.
package enum SignalRelay {
    /// Call first in `main`, while there is one thread. What the process was started to ignore stays ignored.
    package static func block(_ signals: [Int32]) { clinux_block_unless_ignored(signals, signals.count) }

    /// Hands every blocked signal to `body`, on the calling thread.
    package static func run(_ body: (Int32) -> Void) -> Never {
        while true { body(clinux_wait_for_blocked()) }
    }
}
