/// Where a machine's control groups are, as its own tables say. Pure: the texts come from outside.
///
/// ```
///   v1      /sys/fs/cgroup/memory   cgroup   one mount per controller, or per set of them
///           /sys/fs/cgroup/freezer  cgroup
///   hybrid  the same, and a cgroup2 mount that holds the controllers nobody took for v1, often none
///   v2      /sys/fs/cgroup          cgroup2  all controllers in one tree; freezing belongs to the tree itself
/// ```
package struct CgroupLayout: Hashable, Sendable {
    package enum Version: String, Hashable, Sendable { case v1, hybrid, v2 }

    /// What we set or use; the machine's other controllers are left alone.
    package enum Controller: String, Hashable, Sendable, CaseIterable { case cpu, memory, pids, freezer }

    package enum Interface: Hashable, Sendable { case v1, v2 }

    /// One mounted tree of groups.
    package struct Hierarchy: Hashable, Sendable {
        package var mountPoint: String
        package var interface: Interface
        package var controllers: Set<Controller>
    }

    package var version: Version
    /// Only those with a controller that we use, in a stable order.
    package var hierarchies: [Hierarchy]
    package var missing: [Controller]
    /// Why each of them is missing.
    package var warnings: [String]

    package func hierarchy(of controller: Controller) -> Hierarchy? {
        hierarchies.first { $0.controllers.contains(controller) }
    }

    /// - Parameters:
    ///   - mountinfo: `/proc/self/mountinfo`.
    ///   - membership: `/proc/self/cgroup`: tells a controller that the kernel lacks from one that is merely not mounted.
    ///   - unifiedControllers: `cgroup.controllers` of the cgroup2 mount at that place; nil when it cannot be read.
    /// - Throws: when there is no hierarchy that could be written.
    package static func parse(
        mountinfo: String, membership: String, unifiedControllers: (_ mountPoint: String) -> String?
    ) throws(HostError) -> CgroupLayout {
        let mounts = CgroupMount.all(in: mountinfo)
        var hierarchies: [Hierarchy] = []
        var readOnly: [String] = []
        var found: Set<Controller> = []

        // A controller is in one hierarchy at a time, whichever mount shows it; of several mounts of the same one the
        // first that can be written and shows most is taken (containers see binds of the host's beside their own).
        func take(_ mount: CgroupMount, _ interface: Interface, _ controllers: Set<Controller>) {
            let new = controllers.subtracting(found)
            guard !new.isEmpty else { return }
            if mount.isReadOnly {
                readOnly.append(mount.mountPoint)
            } else {
                found.formUnion(new)
                hierarchies.append(Hierarchy(mountPoint: mount.mountPoint, interface: interface, controllers: new))
            }
        }
        for mount in mounts where !mount.isUnified {
            take(mount, .v1, Set(mount.options.compactMap(Controller.init(rawValue:))))
        }
        let unified = mounts.filter(\.isUnified)
        for mount in unified {
            let names = unifiedControllers(mount.mountPoint) ?? ""
            var controllers = Set(
                names.split(whereSeparator: \.isWhitespace).compactMap { Controller(rawValue: String($0)) })
            // Not a controller there: every group of a v2 tree can be frozen. Beside a v1 freezer it would only be a
            // second group to keep, so it counts only when nothing else freezes.
            controllers.insert(.freezer)
            take(mount, .v2, controllers)
        }

        guard !mounts.isEmpty else {
            throw HostError(.unavailable, "no control groups are mounted: there is no cgroup in /proc/self/mountinfo")
        }
        guard !hierarchies.isEmpty else {
            let reason =
                readOnly.isEmpty
                ? "none has a controller that is needed" : "\(readOnly.joined(separator: ", ")) is read-only"
            throw HostError(
                .notPermitted, "control groups cannot be made: \(reason) (a container without privileges?)")
        }
        let hasV1 = mounts.contains { !$0.isUnified && !$0.isNamedOnly }
        let version: Version = hasV1 ? (unified.isEmpty ? .v1 : .hybrid) : .v2
        let missing = Controller.allCases.filter { !found.contains($0) }
        return CgroupLayout(
            version: version, hierarchies: hierarchies, missing: missing,
            warnings: missing.map { controller in
                let known = membership.split(separator: "\n").contains { line in
                    let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
                    return fields.count == 3 && fields[1].split(separator: ",").contains { $0 == controller.rawValue }
                }
                return known
                    ? "the cgroup controller \(controller.rawValue) is not mounted, or read-only"
                    : "this kernel or container has no cgroup controller \(controller.rawValue)"
            })
    }
}
