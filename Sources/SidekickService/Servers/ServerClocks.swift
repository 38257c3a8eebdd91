package import ComputeCore

/// What time it is, for servers: since when something runs, and when something was for those who look at it.
package struct ServerClocks: Sendable {
    package var now: @Sendable () -> ContinuousClock.Instant
    package var wall: any WallClock

    package init(
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now },
        wall: any WallClock = SystemWallClock()
    ) {
        self.now = now
        self.wall = wall
    }
}
