/// What a control group may use; nil is without limit.
package struct CgroupLimits: Hashable, Sendable {
    package var memoryBytes: Int?
    /// In cores: 0.5 is half of one.
    package var cpus: Double?
    package var processes: Int?

    package init(memoryBytes: Int? = nil, cpus: Double? = nil, processes: Int? = nil) {
        self.memoryBytes = memoryBytes
        self.cpus = cpus
        self.processes = processes
    }

    /// One file of a group and what is written to it.
    struct Setting: Hashable {
        var file: String
        var value: String
        /// Not every kernel has it, and the limit holds well enough without.
        var isOptional = false
    }

    /// The default of every kernel. Shorter periods cost more scheduling, longer ones stall what is over its share.
    private static let periodMicroseconds = 100_000
    /// Less is refused by the kernel.
    private static let minimumQuotaMicroseconds = 1_000

    func settings(for controller: CgroupLayout.Controller, _ interface: CgroupLayout.Interface) -> [Setting] {
        switch (controller, interface) {
        case (.cpu, .v1):
            [
                Setting(file: "cpu.cfs_period_us", value: "\(Self.periodMicroseconds)"),
                Setting(file: "cpu.cfs_quota_us", value: quota.map { "\($0)" } ?? "-1"),
            ]
        case (.cpu, .v2):
            [Setting(file: "cpu.max", value: "\(quota.map { "\($0)" } ?? "max") \(Self.periodMicroseconds)")]
        case (.memory, .v1):
            // Memory and swap together is never less than memory alone, so growing needs the one order and shrinking
            // the other: the sum is opened first and closed last.
            [
                Setting(file: "memory.memsw.limit_in_bytes", value: "-1", isOptional: true),
                Setting(file: "memory.limit_in_bytes", value: memoryBytes.map { "\($0)" } ?? "-1"),
                Setting(
                    file: "memory.memsw.limit_in_bytes", value: memoryBytes.map { "\($0)" } ?? "-1", isOptional: true),
            ]
        case (.memory, .v2):
            [
                Setting(file: "memory.max", value: memoryBytes.map { "\($0)" } ?? "max"),
                Setting(file: "memory.swap.max", value: memoryBytes == nil ? "max" : "0", isOptional: true),
                // Half a group that lost a process for memory is of no use to anybody.
                Setting(file: "memory.oom.group", value: "1", isOptional: true),
            ]
        case (.pids, _): [Setting(file: "pids.max", value: processes.map { "\($0)" } ?? "max")]
        case (.freezer, _): []
        }
    }

    /// Whether a group without this controller fails to hold a limit that was asked for.
    func needs(_ controller: CgroupLayout.Controller) -> Bool {
        switch controller {
        case .cpu: cpus != nil
        case .memory: memoryBytes != nil
        case .pids: processes != nil
        case .freezer: false
        }
    }

    private var quota: Int? {
        cpus.map { max(Self.minimumQuotaMicroseconds, Int(($0 * Double(Self.periodMicroseconds)).rounded())) }
    }
}
