package import LinuxSystem

/// What every process of the user is started with; its children inherit it and cannot raise it.
package struct UserLimits: Hashable, Sendable {
    /// RLIMIT_NPROC, which the kernel counts per account. nil: as the Sidekick itself. Root is not bounded by it, so the
    /// host's own limit has to hold for whoever becomes root inside.
    package var processes: Int?
    package var files: ProcessOrder.FileLimit?

    package init(processes: Int? = nil, files: ProcessOrder.FileLimit? = nil) {
        self.processes = processes
        self.files = files
    }

    /// 1024 is what programs expect that close all they could have open, or that use `select`; who needs more raises it
    /// himself, as Node and Go do on their own.
    package static func files(hard: Int) -> ProcessOrder.FileLimit {
        let hard = min(hard, 1 << 19)
        return ProcessOrder.FileLimit(soft: min(1024, hard), hard: hard)
    }
}
