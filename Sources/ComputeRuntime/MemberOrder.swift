package import ComputeCore

/// What a member shall be that is not like every other one. Nothing in it: one from the pool will do.
package struct MemberOrder: Hashable, Sendable {
    /// A registry reference; nil for the template's own image.
    package var image: String?
    /// What differs from the template's size.
    package var resources: ComputeResources?

    package init(image: String? = nil, resources: ComputeResources? = nil) {
        self.image = image
        self.resources = resources
    }

    package static let fromPool = MemberOrder()
    package var isEmpty: Bool { image == nil && resources == nil }
}
