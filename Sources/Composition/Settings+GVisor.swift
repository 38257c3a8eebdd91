import ComputeCore
import Foundation
import LocalRuntime
import ServiceHost

extension ServiceSettings {
    /// What isolation by gVisor is set to.
    static func gvisor(_ reader: SettingsReader, dataDirectory: String) throws(SettingError) -> GVisorSettings {
        var gvisor = GVisorSettings(imageDirectory: "\(dataDirectory)/images")
        if let directory = reader.string(Settings.imageDir) {
            guard directory.hasPrefix("/") else { throw reader.error(Settings.imageDir, "must be an absolute path") }
            gvisor.imageDirectory = directory
        }
        if let image = reader.string(Settings.image) {
            guard GVisorSettings.isImage(image) else {
                throw reader.error(Settings.image, "must be base, an image in a registry, or oci:/folder[:tag]")
            }
            gvisor.image = image
        }
        gvisor.memoryBytes = try reader.mebibytes(Settings.memoryMiB) ?? gvisor.memoryBytes
        gvisor.cpus = try reader.number(Settings.cpus, in: 0.1...1024) ?? gvisor.cpus
        gvisor.diskBytes = try reader.mebibytes(Settings.diskMiB) ?? gvisor.diskBytes
        gvisor.maxProcesses = try reader.integer(Settings.maxProcesses, in: 16...100_000) ?? gvisor.maxProcesses
        gvisor.internet = try reader.flag(Settings.internet) ?? gvisor.internet
        gvisor.dns = (reader.string(Settings.dns) ?? "").split(whereSeparator: { ", ".contains($0) }).map(String.init)
        guard gvisor.dns.allSatisfy(GVisorSettings.isAddress) else {
            throw reader.error(Settings.dns, "must be IPv4 addresses with commas between them")
        }
        gvisor.subnet = reader.string(Settings.subnet)
        guard gvisor.subnet.map(GVisorSettings.isSubnet) ?? true else {
            throw reader.error(Settings.subnet, "must be an IPv4 subnet from /20 to /29, such as 10.77.0.0/22")
        }
        gvisor.runsc = reader.string(Settings.runsc)
        let platform = try reader.choice(Settings.runscPlatform, RunscPlatform.self) ?? .auto
        gvisor.platform = platform == .auto ? nil : platform.rawValue
        return gvisor
    }

    static var processors: Double { Double(ProcessInfo.processInfo.processorCount) }
    static var memoryBytes: Int64 { Int64(clamping: ProcessInfo.processInfo.physicalMemory) }
}

extension SettingsReader {
    /// From what holds the agent to what no machine has.
    func mebibytes(_ setting: Setting) throws(SettingError) -> Int64? {
        try integer(setting, in: 64...(1 << 24)).map { Int64($0) << 20 }
    }
}
