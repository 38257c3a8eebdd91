import ComputeCore
import LinuxHost
import OCIImages

/// How computes are made that gVisor isolates.
package struct GVisorSettings: Sendable {
    /// What a compute runs when nobody asks for anything else: `base`, a registry's, or `oci:/folder`.
    package var image = "base"
    /// Where images are kept; several instances may share it.
    package var imageDirectory: String
    package var cpus = 1.0
    package var memoryBytes: Int64 = 512 << 20
    package var diskBytes: Int64 = 2048 << 20
    /// Of user code in one compute, threads among them, however much memory it has.
    package var maxProcesses = 512
    package var internet = true
    /// What computes ask for names; empty: what this machine asks, where that can be reached from inside.
    package var dns: [String] = []
    /// nil: a block that nothing else here uses.
    package var subnet: String?
    /// nil: `runsc` on the search path.
    package var runsc: String?
    /// nil: the best that works.
    package var platform: String?
    /// Where helper programs are looked for; nil: along our own `$PATH`.
    package var searchPath: String?
    /// How many disks and ends of the network are kept laid ahead of the next starts.
    package var groundsAhead = 2
    /// Where the CNI plugins `bridge` and `host-local` are; nil: where distributions put them.
    package var pluginDirectories: [String]?
    /// What the preparation is at, which may take minutes at the first start: words, and 0 to 1 where that is known.
    package var progress: @Sendable (String, Double?) -> Void = { _, _ in }

    package init(imageDirectory: String) { self.imageDirectory = imageDirectory }

    /// How many processes and threads user code may have beside so much memory, in bytes: 64, and one for each 8 MiB.
    ///
    /// Each takes some 3 to 5 MiB once a program like Python runs in it, with what gVisor needs for it. More of them than the
    /// memory has room for, all of them running, fill it before the Sidekick, which has its turn among them, can end them.
    package func processes(besideMemory bytes: Int64) -> Int {
        min(maxProcesses, 64 + Int(clamping: bytes / (8 << 20)))
    }

    /// Whether these can be set so; what is there is seen only when it is used.
    package static func isImage(_ text: String) -> Bool { (try? ImageReference(text)) != nil }
    package static func isAddress(_ text: String) -> Bool { IPv4Network.address(text) != nil }
    package static func isSubnet(_ text: String) -> Bool {
        IPv4Network(text).map { (20...29).contains($0.prefix) } ?? false
    }

    var resources: ComputeResources {
        ComputeResources(cpus: cpus, memoryBytes: memoryBytes, diskBytes: diskBytes)
    }
}
