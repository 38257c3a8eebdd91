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

    package init(image: String? = nil, resources: ComputeResources? = nil, mounts: [VolumeMount] = []) {
        self.image = image
        self.resources = resources
        self.mounts = mounts
    }

    package static let fromPool = MemberOrder()
    package var isEmpty: Bool { image == nil && resources == nil && mounts.isEmpty }
}
