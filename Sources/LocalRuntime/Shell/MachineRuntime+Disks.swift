package import ComputeCore
package import ComputeRuntime

extension MachineRuntime {
    package func keepDisk(of name: MemberName, as id: ComputeID) async throws(RuntimeError) {
        try await isolation.keepDisk(of: name, as: id)
    }

    package func stop(_ name: MemberName) async throws(RuntimeError) {
        guard abilities.contains(.keepDisk) else {
            throw RuntimeError(.unsupported, "\(isolation.description.isolation) isolation keeps no disks")
        }
        try await remove(name, inOrder: true)
    }

    package func removeDisk(_ id: ComputeID) async throws(RuntimeError) { try await isolation.removeDisk(id) }

    package func keptDisks() async throws(RuntimeError) -> [ComputeID] {
        try await BlockingThreads.run { [isolation] () throws(RuntimeError) in try isolation.keptDisks() }
    }
}
