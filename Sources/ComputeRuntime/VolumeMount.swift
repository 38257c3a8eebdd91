package import ComputeCore

/// One volume in one member. A writer has it alone; readers may be many.
package struct VolumeMount: Hashable, Sendable {
    package var volume: FilesystemID
    /// Absolute, inside; made when missing.
    package var path: String
    package var isReadOnly: Bool

    package init(volume: FilesystemID, path: String, isReadOnly: Bool) {
        self.volume = volume
        self.path = path
        self.isReadOnly = isReadOnly
    }
}

extension ComputeRuntime {
    package func makeVolume(_ id: FilesystemID, sizeMiB: Int64) async throws(RuntimeError) {
        throw RuntimeError(.unsupported, "this runtime has no volumes")
    }
    package func removeVolume(_ id: FilesystemID) async throws(RuntimeError) {
        throw RuntimeError(.unsupported, "this runtime has no volumes")
    }
    package func volumes() async throws(RuntimeError) -> [FilesystemID] {
        throw RuntimeError(.unsupported, "this runtime has no volumes")
    }
}
