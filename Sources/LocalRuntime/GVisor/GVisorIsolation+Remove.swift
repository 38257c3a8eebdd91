import ComputeCore
import ComputeRuntime
import GVisor
import Glibc
import LinuxHost
import Logging
import Synchronization

// What is there, asked of the machine itself; and how it goes away. Each step finds what it is about by the member's
// name and succeeds when there is nothing, so a removal may begin anywhere and be repeated.
extension GVisorIsolation {
    /// How long killed processes may take: milliseconds, unless the kernel holds them.
    private static let killDeadline: Duration = .seconds(5)

    func survey() -> [Survey] {
        let running = running.withLock { $0 }
        return MemberDirectory.all(under: members).compactMap { directory in
            guard let record = directory.record(), running.contains(directory.name) || directory.isTaken else {
                return nil
            }
            return Survey(
                member: record.member, process: record.process, startedAt: record.startedAt,
                isAlive: record.process?.isAlive ?? false,
                isFrozen: cgroups.group(directory.name.rawValue).isFrozen,
                network: network.policy(of: directory.name.rawValue), disk: record.disk)
        }
    }

    func names() -> [MemberName] {
        var names = Set(MemberDirectory.all(under: members).map(\.name.rawValue))
        names.formUnion(cgroups.names())
        names.formUnion(network.names())
        names.formUnion(runsc.known())
        let prefix = "\(members)/"
        for path in OverlayDisk.mounted(below: members) where path.hasPrefix(prefix) {
            names.insert(String(path.dropFirst(prefix.count).prefix { $0 != "/" }))
        }
        names.formUnion(VolumeDisk.users(below: volumeFolder).map { $0.user })
        return names.map { MemberName($0) }.filter { MemberDirectory(members: members, name: $0) != nil }
    }

    func useless() -> [MemberName] {
        names().filter { name in
            guard let directory = MemberDirectory(members: members, name: name), directory.isTaken,
                let process = directory.record()?.process
            else { return true }
            return !process.isAlive
        }
    }

    func remove(_ name: MemberName) async throws(RuntimeError) {
        let directory = try directory(name)
        let group = cgroups.group(name.rawValue)
        group.yieldProcessor()
        do {
            try await group.killAll(deadline: Self.killDeadline)
            let network = network
            let disk = disk(directory)
            // Each to its end, whatever becomes of the others.
            async let released = Self.outcome { () async throws(HostError) in
                try await self.unmountVolumes(of: name)
            }
            async let unmounted = Self.outcome { () async throws(HostError) in try await disk.unmount() }
            async let detached = Self.outcome { () async throws(HostError) in
                try await self.networkTurns.run(name) { () async throws(HostError) in
                    try await network.detach(name.rawValue)
                }
            }
            let outcomes = await (unmounted, detached, released)
            try outcomes.0.get()
            try outcomes.2.get()
            if let warning = try outcomes.1.get() {
                logger.warning(
                    "A member's network was not as it was left",
                    metadata: ["member": "\(name)", "reason": "\(warning)"])
            }
            try await BlockingThreads.run { [runsc] () throws(HostError) in
                try group.remove()
                runsc.forget(name.rawValue)
            }
            try await BlockingThreads.run { () throws(RuntimeError) in try DirectoryRemoval.remove(directory.path) }
        } catch let error as RuntimeError {
            throw error
        } catch let error as HostError {
            throw RuntimeError(error)
        } catch {
            throw RuntimeError(.unavailable, "member \(name) cannot be removed", cause: error)
        }
        _ = running.withLock { $0.remove(name) }
    }

    private static func outcome<Value: Sendable>(
        of work: @Sendable () async throws(HostError) -> Value
    ) async -> Result<Value, HostError> {
        do throws(HostError) { return .success(try await work()) } catch { return .failure(error) }
    }

    func tearDown() async {
        await network.teardown()
        cgroups.remove()
        rmdir(runsc.root)
        try? await BlockingThreads.run { [dataDirectory] () throws(RuntimeError) in
            // Small, and made anew in a moment; the next start may bring another Sidekick.
            try DirectoryRemoval.remove("\(dataDirectory)/agent")
        }
    }
}
