package import ComputeCore
package import LinuxSystem

/// An overlay, as the API shows it.
package struct OverlayInfo: Sendable {
    package let id: OverlayID
    package let request: OverlayRequest
    package var createdAt = SystemWallClock().now()
    package var stats = OverlayCopy.Stats()
    package var state = OverlayState.pending
}
