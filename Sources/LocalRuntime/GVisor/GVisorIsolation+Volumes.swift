import ComputeCore
import ComputeRuntime
import GVisor
import LinuxHost
import Logging

// Filesystems here are disks in files (`VolumeDisk`). Who has one is read from the kernel, so after a crash the next
// process knows as much as the last one did.
extension GVisorIsolation {
    var volumeFolder: String { "\(dataDirectory)/filesystems" }

    func volume(_ id: FilesystemID) -> VolumeDisk {
        VolumeDisk(folder: "\(volumeFolder)/\(id)", tools: tools)
    }

    /// Also those that are half made or half removed.
    func volumeIDs() -> [FilesystemID] {
        DirectoryListing.names(in: volumeFolder).compactMap { FilesystemID($0) }
    }

    func volumes() throws(RuntimeError) -> [FilesystemID] { volumeIDs() }

    func makeVolume(_ id: FilesystemID, sizeMiB: Int64) async throws(RuntimeError) {
        try await turn(id) { (disk) async throws(HostError) in try await disk.make(sizeBytes: Int(sizeMiB) << 20) }
    }

    func removeVolume(_ id: FilesystemID) async throws(RuntimeError) {
        try await turn(id) { (disk) async throws(HostError) in try await disk.remove() }
    }

    // MARK: - Members

    /// As long as a place from before a restart may take to go: its mounts may have been of a mount namespace that is gone.
    private static let joinDelay: Duration = .seconds(6)

    /// Waits, until the deadline, for members that have one of them in a way that excludes this one: they are about to
    /// go, or the log would not have let this one come.
    func mountVolumes(
        _ mounts: [VolumeMount], for name: MemberName, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> [ContainerBundle.HostFolder] {
        var folders: [ContainerBundle.HostFolder] = []
        for mount in mounts {
            let source = try await mounted(mount, for: name, deadline: deadline)
            folders.append(
                ContainerBundle.HostFolder(
                    source: source, destination: mount.path, isReadOnly: mount.isReadOnly))
        }
        return folders
    }

    private func mounted(
        _ mount: VolumeMount, for name: MemberName, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> String {
        let begun = ContinuousClock.now
        while true {
            let joining = begun + Self.joinDelay < .now
            let source = try await turn(mount.volume) { (disk) async throws(HostError) -> String? in
                let user = VolumeDisk.User(name: name.rawValue, isReadOnly: mount.isReadOnly)
                do throws(HostError) {
                    return try await disk.mount(for: user, owner: ImageUser.uid, joining: joining)
                } catch {
                    if error.code == .busy { return nil }
                    throw error
                }
            }
            if let source { return source }
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw RuntimeError(
                    .deadlineExceeded, "the filesystem \(mount.volume) is still in use by another member")
            }
            // As long as a killed sandbox takes to go.
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// All that can be, whatever becomes of the others.
    func unmountVolumes(of name: MemberName) async throws(HostError) {
        var failure: HostError?
        for (text, user) in VolumeDisk.users(below: volumeFolder) where user == name.rawValue {
            guard let id = FilesystemID(text) else { continue }
            let disk = volume(id)
            do throws(HostError) {
                try await volumeTurns.run(id) { () async throws(HostError) in
                    try await disk.unmount(for: name.rawValue)
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// A process that was killed may have mounted one for a member that never was.
    func unmountUnusedVolumes() async {
        let mounted = OverlayDisk.mounted(below: volumeFolder).compactMap { point in
            FilesystemID(point.dropFirst(volumeFolder.count + 1).prefix { $0 != "/" })
        }
        for id in Set(mounted) {
            do throws(RuntimeError) {
                try await turn(id) { (disk) async throws(HostError) in try await disk.unmountIfUnused() }
            } catch {
                logger.warning(
                    "A filesystem cannot be unmounted", metadata: ["filesystem": "\(id)", "error": "\(error)"])
            }
        }
    }

    private func turn<Value: Sendable>(
        _ id: FilesystemID, _ work: @escaping @Sendable (VolumeDisk) async throws(HostError) -> Value
    ) async throws(RuntimeError) -> Value {
        let disk = volume(id)
        do throws(HostError) {
            return try await volumeTurns.run(id) { () async throws(HostError) -> Value in try await work(disk) }
        } catch {
            throw RuntimeError(error)
        }
    }
}
