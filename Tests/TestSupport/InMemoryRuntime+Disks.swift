package import ComputeCore
package import ComputeRuntime
import Synchronization

// Disks: those that are kept, and volumes.
extension InMemoryRuntime {
    package func keepDisk(of name: MemberName, as id: ComputeID) async throws(RuntimeError) {
        try checkKeeping()
        let exists = state.withLock { state in
            guard state.places[name] != nil else { return state.kept.contains(id) }
            state.kept.insert(id)
            state.disks[name] = id
            return true
        }
        guard exists else { throw RuntimeError(.unavailable, "there is no such place") }
    }

    package func stop(_ name: MemberName) async throws(RuntimeError) {
        try checkKeeping()
        try await remove(name)
    }

    package func removeDisk(_ id: ComputeID) async throws(RuntimeError) {
        try checkKeeping()
        let isFree = state.withLock { state in
            guard !state.disks.values.contains(id) else { return false }
            state.kept.remove(id)
            return true
        }
        guard isFree else { throw RuntimeError(.unavailable, "a member has the disk") }
    }

    package func keptDisks() async throws(RuntimeError) -> [ComputeID] {
        guard abilities.contains(.keepDisk) else { throw RuntimeError(.unsupported, "this runtime keeps no disks") }
        return state.withLock { $0.kept.sorted() }
    }

    private func checkKeeping() throws(RuntimeError) {
        guard abilities.contains(.keepDisk) else { throw RuntimeError(.unsupported, "this runtime keeps no disks") }
        if let failure = state.withLock({ $0.behaviour.keepFailure }) { throw failure }
    }

    package func makeVolume(_ id: FilesystemID, sizeMiB: Int64) async throws(RuntimeError) {
        try changeVolumes { if $0[id] == nil { $0[id] = sizeMiB } }
    }

    package func removeVolume(_ id: FilesystemID) async throws(RuntimeError) {
        let isMounted = state.withLock { state in state.mounts.values.joined().contains { $0.volume == id } }
        guard !isMounted else { throw RuntimeError(.unavailable, "a member has the volume") }
        try changeVolumes { $0[id] = nil }
    }

    package func volumes() async throws(RuntimeError) -> [FilesystemID] {
        guard abilities.contains(.filesystems) else { throw RuntimeError(.unsupported, "this runtime has no volumes") }
        return state.withLock { $0.volumes.keys.sorted() }
    }

    private func changeVolumes(_ change: (inout [FilesystemID: Int64]) -> Void) throws(RuntimeError) {
        guard abilities.contains(.filesystems) else { throw RuntimeError(.unsupported, "this runtime has no volumes") }
        let failure = state.withLock { state in
            if state.behaviour.volumeFailure == nil { change(&state.volumes) }
            return state.behaviour.volumeFailure
        }
        if let failure { throw failure }
    }
}
