package import ComputeCore

/// How long a server keeps what is stopped, or was paused by the end of its lifetime.
package struct KeepLimits: Hashable, Sendable {
    /// Of what does not say it itself.
    package var usual: Duration
    /// Also of what was said before the limit became lower.
    package var most: Duration

    package init(usual: Duration, most: Duration) {
        self.usual = usual
        self.most = most
    }

    package func end(of lifecycle: ComputeLifecycle, from now: WallTime) -> WallTime {
        now + min(lifecycle.deleteAfterStopped ?? usual, most)
    }
}
