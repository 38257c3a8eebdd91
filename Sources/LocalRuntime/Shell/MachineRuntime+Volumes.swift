package import ComputeCore
package import ComputeRuntime

extension MachineRuntime {
    package func makeVolume(_ id: FilesystemID, sizeMiB: Int64) async throws(RuntimeError) {
        try await isolation.makeVolume(id, sizeMiB: sizeMiB)
    }

    package func removeVolume(_ id: FilesystemID) async throws(RuntimeError) { try await isolation.removeVolume(id) }

    package func volumes() async throws(RuntimeError) -> [FilesystemID] {
        try await BlockingThreads.run { [isolation] () throws(RuntimeError) in try isolation.volumes() }
    }
}
