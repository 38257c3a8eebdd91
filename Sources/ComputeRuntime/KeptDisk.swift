package import ComputeCore

extension ComputeRuntime {
    package func keepDisk(of name: MemberName, as id: ComputeID) async throws(RuntimeError) {
        throw RuntimeError(.unsupported, "this runtime keeps no disks")
    }
    package func stop(_ name: MemberName) async throws(RuntimeError) {
        throw RuntimeError(.unsupported, "this runtime keeps no disks")
    }
    package func removeDisk(_ id: ComputeID) async throws(RuntimeError) {
        throw RuntimeError(.unsupported, "this runtime keeps no disks")
    }
    package func keptDisks() async throws(RuntimeError) -> [ComputeID] {
        throw RuntimeError(.unsupported, "this runtime keeps no disks")
    }
}
