import APIService
import ComputeDomain
import LocalRuntime
package import ServiceHost

extension Settings {
    package static let rateLimit = Setting(
        "rate-limit", fallback: "500", "How many requests a second one key, session or member may send. 0: no limit.")
    package static let rateLimitAddress = Setting(
        "rate-limit-address", fallback: "50",
        "How many requests a second may come from one address without a good credential. 0: no limit.")

    // What a group may have that has no quotas of its own.
    package static let maxComputes = Setting(
        "max-computes", fallback: "100", "How many living computes a group may have.")
    package static let maxGroupCPUs = Setting(
        "max-group-cpus", fallback: "max-computes times cpus",
        "How many processors the living computes of a group may have together.")
    package static let maxGroupMemoryMiB = Setting(
        "max-group-memory-mib", fallback: "max-computes times memory-mib",
        "How much memory the living computes of a group may have together.")
    package static let maxGroupStorageMiB = Setting(
        "max-group-storage-mib", fallback: "max-computes times disk-mib, and max-filesystems-mib",
        "How large the disks of a group's living computes and its filesystems may be together.")
    package static let maxCreatesPerMinute = Setting(
        "max-creates-per-minute", fallback: "3000", "How many computes a group may create in a minute.")

    package static let maxPoolMembers = Setting(
        "max-pool-members", fallback: "20", "How many idle computes the pools of a group may keep together.")
    package static let maxPools = Setting("max-pools", fallback: "20", "How many pools a group may have.")
    package static let stoppedDays = Setting(
        "stopped-days", fallback: "7",
        "How many days a compute is kept that is stopped, or was paused by the end of its lifetime, and says nothing else."
    )
    package static let maxStoppedDays = Setting(
        "max-stopped-days", fallback: "30", "How many days it may say at most.")

    static let limits = [
        stoppedDays, maxStoppedDays, rateLimit, rateLimitAddress, maxComputes, maxGroupCPUs, maxGroupMemoryMiB,
        maxGroupStorageMiB, maxCreatesPerMinute, maxPoolMembers, maxPools,
    ]
}

extension RateLimitSettings {
    init(_ reader: SettingsReader) throws(SettingError) {
        self.init()
        let range = 0...1_000_000
        if let limit = try reader.integer(Settings.rateLimit, in: range) { perCredential = Int64(limit) }
        if let limit = try reader.integer(Settings.rateLimitAddress, in: range) { perAddress = Int64(limit) }
    }
}

extension KeepLimits {
    init(_ reader: SettingsReader) throws(SettingError) {
        func days(_ setting: Setting, _ usual: Int) throws(SettingError) -> Duration {
            .seconds(Int64(try reader.integer(setting, in: 1...3650) ?? usual) * 24 * 3600)
        }
        self.init(usual: try days(Settings.stoppedDays, 7), most: try days(Settings.maxStoppedDays, 30))
    }
}

extension GroupQuotas {
    /// What nobody sets is enough for as many computes of the usual size as there may be.
    init(
        _ reader: SettingsReader, of usual: GVisorSettings, maxFilesystemsMiB: Int
    ) throws(SettingError) {
        let computes = Int64(try reader.integer(Settings.maxComputes, in: 1...1_000_000) ?? 100)
        self.init([.computes: computes])
        let cpus = try reader.number(Settings.maxGroupCPUs, in: 0.1...1_000_000) ?? Double(computes) * usual.cpus
        self[.cpus] = Int64((cpus * Double(Quota.cpus.unit)).rounded())
        self[.memoryMiB] =
            try reader.integer(Settings.maxGroupMemoryMiB, in: 64...1_000_000_000).map { Int64($0) }
            ?? computes * (usual.memoryBytes >> 20)
        self[.storageMiB] =
            try reader.integer(Settings.maxGroupStorageMiB, in: 64...1_000_000_000).map { Int64($0) }
            ?? computes * (usual.diskBytes >> 20) + Int64(maxFilesystemsMiB)
        self[.createsPerMinute] = Int64(
            try reader.integer(Settings.maxCreatesPerMinute, in: 1...1_000_000) ?? 3000)
        self[.poolMembers] = Int64(try reader.integer(Settings.maxPoolMembers, in: 0...1_000_000) ?? 20)
    }
}
