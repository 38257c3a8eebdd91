package import ComputeCore

/// What a member shall be that is not like every other one. Nothing in it: one from the pool will do.
package struct MemberOrder: Hashable, Sendable {
    /// A registry reference; nil for the template's own image.
    package var image: String?
    /// What differs from the template's size.
    package var resources: ComputeResources?
    /// Volumes that are there. A member cannot get any later. Where another member still has one in a way that excludes
    /// this one, the start waits for it, until its deadline.
    package var mounts: [VolumeMount]
    /// A kept disk that it stands on, with the image that this was made on. No two members have it at once: while another
    /// one still has it, the start waits, until its deadline.
    package var disk: ComputeID?

    package init(
        image: String? = nil, resources: ComputeResources? = nil, mounts: [VolumeMount] = [], disk: ComputeID? = nil
    ) {
        self.image = image
        self.resources = resources
        self.mounts = mounts
        self.disk = disk
    }

    package static let fromPool = MemberOrder()
    package var isEmpty: Bool { image == nil && resources == nil && mounts.isEmpty && disk == nil }
}
