package import ComputeCore

/// `GET /v1/runtime`: what computes run on here.
package struct RuntimeView: Codable, Hashable, Sendable {
    package struct Runsc: Codable, Hashable, Sendable {
        package var version: String
        package var platform: String
        package var network: String

        package init(version: String, platform: String, network: String) {
            self.version = version
            self.platform = platform
            self.network = network
        }
    }

    package struct Defaults: Codable, Hashable, Sendable {
        package var image: String?
        package var resources: JSONValue?

        package init(image: String?, resources: JSONValue?) {
            self.image = image
            self.resources = resources
        }
    }

    package struct Pool: Codable, Hashable, Sendable {
        package var target: Int
        package var idle: Int

        package init(target: Int, idle: Int) {
            self.target = target
            self.idle = idle
        }
    }

    package var isolation: String
    package var abilities: [String]
    /// Absent where there is no gVisor.
    package var runsc: Runsc?
    package var cgroup: String?
    package var defaults: Defaults
    /// The largest sizes that may be asked for; what is absent has no ceiling.
    package var ceilings: JSONValue
    package var pool: Pool

    package init(
        isolation: String, abilities: [String], runsc: Runsc?, cgroup: String?, defaults: Defaults, ceilings: JSONValue,
        pool: Pool
    ) {
        self.isolation = isolation
        self.abilities = abilities
        self.runsc = runsc
        self.cgroup = cgroup
        self.defaults = defaults
        self.ceilings = ceilings
        self.pool = pool
    }
}
