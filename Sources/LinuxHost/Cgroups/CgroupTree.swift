import Glibc

/// A folder of control groups of one owner, with the same path in each hierarchy of this machine.
package struct CgroupTree: Sendable {
    package let layout: CgroupLayout
    /// The folder below each mount point: `/name`.
    package let path: String
    /// What this machine cannot limit, for its administrator.
    package let warnings: [String]

    /// Reads this machine's tables and makes the folder, which proves that groups can be made.
    /// - Parameter tree: `/` and one name.
    package static func detect(tree: String) throws(HostError) -> CgroupTree {
        let layout = try CgroupLayout.parse(
            mountinfo: ControlFile.read("/proc/self/mountinfo") ?? "",
            membership: ControlFile.read("/proc/self/cgroup") ?? "",
            unifiedControllers: { ControlFile.read("\($0)/cgroup.controllers") })
        return CgroupTree(layout: layout, path: tree, warnings: layout.warnings + (try make(layout, tree)))
    }

    package var version: String { layout.version.rawValue }

    package var canFreeze: Bool { layout.hierarchy(of: .freezer).map { canFreeze($0) } ?? false }

    /// A group that may exist or not.
    package func group(_ name: String) -> Cgroup { Cgroup(tree: self, name: name) }

    /// The groups that exist now, in any hierarchy.
    package func names() -> [String] {
        var names: Set<String> = []
        for hierarchy in layout.hierarchies {
            names.formUnion(ControlFile.subdirectories(of: hierarchy.mountPoint + path))
        }
        return names.sorted()
    }

    /// Removes the folder itself, if it is empty.
    package func remove() {
        for hierarchy in layout.hierarchies { rmdir(hierarchy.mountPoint + path) }
    }

    /// Makes the folder again when somebody removed it.
    func remake() throws(HostError) { _ = try Self.make(layout, path) }

    private static func make(_ layout: CgroupLayout, _ tree: String) throws(HostError) -> [String] {
        var warnings: [String] = []
        for hierarchy in layout.hierarchies {
            let folder = hierarchy.mountPoint + tree
            guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
                throw HostError("the control group \(folder) cannot be made", errno: errno)
            }
            guard hierarchy.interface == .v2 else { continue }
            // A v2 group has only what each group above it hands down. One word per write: one refusal refuses all.
            for controller in CgroupLayout.Controller.allCases
            where controller != .freezer && hierarchy.controllers.contains(controller) {
                for level in [hierarchy.mountPoint, folder] {
                    let failure = ControlFile.write("\(level)/cgroup.subtree_control", "+\(controller.rawValue)")
                    guard failure != 0 else { continue }
                    let reason = String(cString: strerror(failure))
                    warnings.append(
                        "the cgroup controller \(controller.rawValue) is not handed down by \(level): \(reason)")
                    break
                }
            }
        }
        return warnings
    }

    private func canFreeze(_ hierarchy: CgroupLayout.Hierarchy) -> Bool {
        let file = hierarchy.interface == .v1 ? "freezer.state" : "cgroup.freeze"
        return ControlFile.exists("\(hierarchy.mountPoint)\(path)/\(file)")
    }
}
