package import ComputeCore

/// What a runtime says of itself, for `GET /v1/runtime`.
package struct RuntimeDescription: Hashable, Sendable {
    /// The gVisor it runs on, and what it found that can do.
    package struct GVisor: Hashable, Sendable {
        package var version: String
        /// `systrap`, `ptrace` or `kvm`.
        package var platform: String
        /// `sandbox`: its own network stack; `host`: the kernel's, inside a network namespace.
        package var network: String

        package init(version: String, platform: String, network: String) {
            self.version = version
            self.platform = platform
            self.network = network
        }
    }

    /// `gvisor`, `process`, `memory`.
    package var isolation: String
    package var abilities: RuntimeAbilities
    package var gvisor: GVisor?
    /// `v1`, `hybrid` or `v2`; nil where it uses none.
    package var cgroup: String?
    /// What a compute gets whose caller asked for nothing else.
    package var defaultImage: String?
    package var defaultResources: ComputeResources?
    package var poolTarget: Int
    package var poolIdle: Int

    package init(
        isolation: String, abilities: RuntimeAbilities, gvisor: GVisor? = nil, cgroup: String? = nil,
        defaultImage: String? = nil, defaultResources: ComputeResources? = nil, poolTarget: Int = 0, poolIdle: Int = 0
    ) {
        self.isolation = isolation
        self.abilities = abilities
        self.gvisor = gvisor
        self.cgroup = cgroup
        self.defaultImage = defaultImage
        self.defaultResources = defaultResources
        self.poolTarget = poolTarget
        self.poolIdle = poolIdle
    }
}
