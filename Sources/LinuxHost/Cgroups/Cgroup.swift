import Glibc

/// One control group, with the same path in each hierarchy: what is started in it is limited, frozen and ended as one.
package struct Cgroup: Sendable {
    let tree: CgroupTree
    package let name: String

    private func folder(_ hierarchy: CgroupLayout.Hierarchy) -> String {
        "\(hierarchy.mountPoint)\(tree.path)/\(name)"
    }

    private var folders: [String] { tree.layout.hierarchies.map(folder) }

    /// Makes the group, or takes the one that is there, and sets its limits.
    /// - Returns: which limits this machine cannot hold.
    package func create(_ limits: CgroupLimits) throws(HostError) -> [String] {
        for folder in folders {
            if mkdir(folder, 0o755) == 0 || errno == EEXIST { continue }
            if errno == ENOENT {
                try tree.remake()
                if mkdir(folder, 0o755) == 0 || errno == EEXIST { continue }
            }
            throw HostError("the control group \(folder) cannot be made", errno: errno)
        }
        return try apply(limits)
    }

    package func update(_ limits: CgroupLimits) throws(HostError) { _ = try apply(limits) }

    private func apply(_ limits: CgroupLimits) throws(HostError) -> [String] {
        var warnings: [String] = []
        for controller in CgroupLayout.Controller.allCases {
            let hierarchy = tree.layout.hierarchy(of: controller)
            let settings = hierarchy.map { limits.settings(for: controller, $0.interface) } ?? []
            guard let hierarchy, settings.contains(where: { ControlFile.exists("\(folder(hierarchy))/\($0.file)") })
            else {
                if limits.needs(controller) { warnings.append("no cgroup controller limits \(controller.rawValue)") }
                continue
            }
            for setting in settings {
                let file = "\(folder(hierarchy))/\(setting.file)"
                let failure = ControlFile.write(file, setting.value)
                guard failure == 0 || setting.isOptional else {
                    throw HostError("\(file) does not take \(setting.value)", errno: failure)
                }
            }
        }
        return warnings
    }

    /// A process that writes its id into each of these is in the group, and so is everything it starts from then on.
    package var joinFiles: [String] { folders.map { "\($0)/cgroup.procs" } }

    /// In any hierarchy: one that was ended while it joined may be in the first and not in the last.
    package func processes() -> [Int32] {
        var found: Set<Int32> = []
        for file in joinFiles {
            // 0 stands for a process that our pid namespace cannot see.
            found.formUnion(
                (ControlFile.read(file) ?? "").split(separator: "\n").compactMap { Int32($0) }.filter { $0 > 0 })
        }
        return found.sorted()
    }

    package var exists: Bool { folders.contains(where: ControlFile.exists) }

    package func memoryUsageBytes() -> Int? {
        guard let hierarchy = tree.layout.hierarchy(of: .memory) else { return nil }
        let file = hierarchy.interface == .v1 ? "memory.usage_in_bytes" : "memory.current"
        return ControlFile.number("\(folder(hierarchy))/\(file)")
    }

    /// Removes an empty group. One that is not there is removed already.
    package func remove() throws(HostError) {
        for folder in folders {
            // A process that has just ended still holds its group for a moment.
            var attempts = 0
            while rmdir(folder) != 0 && errno != ENOENT {
                guard errno == EBUSY && attempts < 50 else {
                    throw HostError("the control group \(folder) cannot be removed", errno: errno)
                }
                attempts += 1
                usleep(2_000)
            }
        }
    }

    // MARK: - Freezing

    private var freezer: (file: String, interface: CgroupLayout.Interface)? {
        guard let hierarchy = tree.layout.hierarchy(of: .freezer) else { return nil }
        let name = hierarchy.interface == .v1 ? "freezer.state" : "cgroup.freeze"
        return ("\(folder(hierarchy))/\(name)", hierarchy.interface)
    }

    /// Whether the group is frozen or about to be.
    package var isFrozen: Bool {
        guard let freezer, let state = ControlFile.read(freezer.file) else { return false }
        switch freezer.interface {
        case .v1: return !state.hasPrefix("THAWED")
        case .v2: return state.hasPrefix("1")
        }
    }

    /// Stops every process of the group where it stands. Returns when all of them have.
    /// - Throws: after two seconds, having thawed again: a process in an uninterruptible wait cannot be frozen.
    package func freeze() throws(HostError) {
        guard let freezer else { throw HostError(.unavailable, "this machine has no cgroup freezer") }
        try set(freezer.file, freezer.interface == .v1 ? "FROZEN" : "1")
        let clock = ContinuousClock()
        let end = clock.now + .seconds(2)
        var polls = 0
        while !isStill(freezer) {
            guard clock.now < end else {
                try thaw()
                throw HostError(.deadlineExceeded, "the control group \(name) does not freeze")
            }
            polls += 1
            usleep(200)
            // A v1 group that gained a process while it was being frozen waits for a second order.
            if freezer.interface == .v1, polls.isMultiple(of: 25) { try set(freezer.file, "FROZEN") }
        }
    }

    package func thaw() throws(HostError) {
        guard let freezer else { return }
        try set(freezer.file, freezer.interface == .v1 ? "THAWED" : "0")
    }

    private func isStill(_ freezer: (file: String, interface: CgroupLayout.Interface)) -> Bool {
        switch freezer.interface {
        case .v1: return ControlFile.read(freezer.file)?.hasPrefix("FROZEN") == true
        case .v2:
            let events = freezer.file.replacingSuffix("freeze", with: "events")
            return (ControlFile.read(events) ?? "").split(separator: "\n").contains("frozen 1")
        }
    }

    private func set(_ file: String, _ value: String) throws(HostError) {
        let failure = ControlFile.write(file, value)
        guard failure == 0 else { throw HostError("\(file) does not take \(value)", errno: failure) }
    }

    // MARK: - Ending

    /// From now on its processes run only when those of its tree's other groups do not want to: what is going away, which
    /// takes a while for a large address space, delays nothing that somebody waits for. Where it cannot be had, things go
    /// as without.
    package func yieldProcessor() {
        guard let hierarchy = tree.layout.hierarchy(of: .cpu) else { return }
        let (file, least) = hierarchy.interface == .v1 ? ("cpu.shares", "2") : ("cpu.weight", "1")
        _ = ControlFile.write("\(folder(hierarchy))/\(file)", least)
    }

    /// Ends every process of the group, also one that is being started or is frozen. A group that is not there is empty.
    /// - Throws: when some are left at the deadline: they hang in the kernel.
    package func killAll(deadline: Duration) async throws(HostError) {
        let clock = ContinuousClock()
        let end = clock.now + deadline
        var pause = Duration.milliseconds(1)
        while true {
            let processes = processes()
            guard !processes.isEmpty else { return }
            signalAll(processes)
            guard clock.now < end else {
                let some = processes.prefix(5).map(String.init).joined(separator: ", ")
                throw HostError(.deadlineExceeded, "processes of the control group \(name) do not end: \(some)")
            }
            do { try await Task.sleep(for: pause) } catch {
                // Given up by the caller; the signals are sent, and whoever asks again goes on.
                throw HostError(.cancelled, "ending the control group \(name) was given up")
            }
            pause = min(pause * 2, .milliseconds(20))
        }
    }

    private func signalAll(_ processes: [Int32]) {
        // One order reaches also what is being forked at this moment.
        if let unified = tree.layout.hierarchies.first(where: { $0.interface == .v2 }),
            ControlFile.write("\(folder(unified))/cgroup.kill", "1") == 0, tree.layout.version == .v2
        {
            return
        }
        for process in processes { kill(process, SIGKILL) }
        // The signal waits in a process frozen by v1. Thawed after it, the process runs no instruction of its own.
        if isFrozen { try? thaw() }
    }
}

extension String {
    fileprivate func replacingSuffix(_ suffix: String, with other: String) -> String {
        hasSuffix(suffix) ? dropLast(suffix.count) + other : self
    }
}
