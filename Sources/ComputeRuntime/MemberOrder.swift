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

/// How big a compute is. What is nil is as the template says.
package struct ComputeResources: Hashable, Sendable, Codable {
    /// Processors, as a share of time: 0.5 is half of one.
    package var cpus: Double?
    package var memoryBytes: Int64?
    package var diskBytes: Int64?

    package init(cpus: Double? = nil, memoryBytes: Int64? = nil, diskBytes: Int64? = nil) {
        self.cpus = cpus
        self.memoryBytes = memoryBytes
        self.diskBytes = diskBytes
    }

    /// `self` where it says something, else `other`.
    package func over(_ other: ComputeResources) -> ComputeResources {
        ComputeResources(
            cpus: cpus ?? other.cpus, memoryBytes: memoryBytes ?? other.memoryBytes,
            diskBytes: diskBytes ?? other.diskBytes)
    }
}
