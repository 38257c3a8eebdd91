import Glibc

/// A disk that outlives those who use it.
///
/// ```
///  <folder>/disk.img   sparse ext4 file ── loop device ──► <folder>/disk     while somebody uses it
///  <folder>/writer/<user>   the same folder again, for the one who writes
///  <folder>/readers/<user>  the same, read-only, for each who reads
/// ```
/// Nothing is remembered: who uses it is read from the kernel, so what a crash left is seen as it is. Two callers must
/// not be at one disk at once. What is mounted lies in no folder that is ever deleted with what is in it: whoever clears
/// a user's own folder away cannot reach it.
package struct VolumeDisk: Sendable {
    package struct User: Hashable, Sendable {
        /// A plain file name.
        package var name: String
        package var isReadOnly: Bool

        package init(name: String, isReadOnly: Bool) {
            self.name = name
            self.isReadOnly = isReadOnly
        }
    }

    package let folder: String
    let tools: Tools

    /// - Parameter folder: of this one disk. Absolute, without symbolic links.
    package init(folder: String, tools: Tools) {
        self.folder = folder
        self.tools = tools
    }

    var image: String { "\(folder)/disk.img" }
    var draft: String { "\(folder)/draft.img" }
    var disk: String { "\(folder)/disk" }
    var writer: String { "\(folder)/writer" }
    var readers: String { "\(folder)/readers" }
    func path(of user: User) -> String { "\(user.isReadOnly ? readers : writer)/\(user.name)" }

    /// Makes the empty disk, if there is none. It is on the host's disk when this returns.
    /// - Throws: `.exhausted` when so much is not free now. Nothing is set aside: who fills it later may find less.
    package func make(sizeBytes: Int) async throws(HostError) {
        if access(image, F_OK) != 0 {
            try DirectoryListing.make(folder)
            unlink(draft)
            var host = statvfs()
            guard statvfs(folder, &host) == 0 else { throw HostError("cannot look at \(folder)", errno: errno) }
            guard UInt(sizeBytes) / host.f_frsize <= host.f_bavail else {
                throw HostError(.exhausted, "there is no room for a disk of \(sizeBytes) bytes")
            }
            // No copy of a template: callers choose sizes as they like, and each would leave one.
            try await DiskTemplate.format(draft, sizeBytes: sizeBytes, tools: tools)
        }
        let (image, draft) = (image, draft)
        // Whoever made it earlier may have been cut off before the last of these.
        let parent = Self.parent(of: folder)
        let folders = [folder, parent, Self.parent(of: parent)]
        try await ThreadOfItsOwn.run { () throws(HostError) in
            if access(image, F_OK) != 0 {
                // In this order: a name that is there means content that is there.
                try Self.sync(draft)
                guard rename(draft, image) == 0 else { throw HostError("cannot make \(image)", errno: errno) }
            }
            for path in folders { try Self.sync(path) }
        }
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }

    /// Who has it mounted.
    package func users() -> [User] { OverlayDisk.mounted(below: folder).compactMap { user(at: $0) } }

    private func user(at point: String) -> User? {
        for (place, isReadOnly) in [(writer, false), (readers, true)] where point.hasPrefix(place + "/") {
            return User(name: String(point.dropFirst(place.count + 1)), isReadOnly: isReadOnly)
        }
        return nil
    }

    /// Who uses which of the disks in a folder, in one look at the kernel's table.
    /// - Returns: the last part of the disk's folder, and its user's name.
    package static func users(below folder: String) -> [(disk: String, user: String)] {
        OverlayDisk.mounted(below: folder).compactMap { point in
            let parts = point.dropFirst(folder.count).split(separator: "/")
            guard parts.count == 3, parts[1] == "writer" || parts[1] == "readers" else { return nil }
            return (String(parts[0]), String(parts[2]))
        }
    }

    /// Ends what this user has of it, and with the last one the mount itself. Nothing happens when there is nothing.
    package func unmount(for name: String) async throws(HostError) {
        for user in users() where user.name == name {
            try await unmount(path(of: user))
            rmdir(path(of: user))
        }
        try await unmountIfUnused()
    }

    package func unmountIfUnused() async throws(HostError) {
        guard users().isEmpty else { return }
        while OverlayDisk.mounted(below: disk).contains(disk) { try await unmount(disk) }
        // A device goes by itself with its last user; one that was made without that wish is told here.
        for device in OverlayDisk.loops(below: folder) { _ = try? await tools.run("losetup", ["-d", device]) }
        // The kernel lets go of it after the unmount has returned, and of one that is held elsewhere later still; who
        // mounts next looks again.
        for _ in 0..<50 where !OverlayDisk.loops(below: folder).isEmpty {
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    /// - Throws: `.busy` while it is in use.
    package func remove() async throws(HostError) {
        guard users().isEmpty else { throw HostError(.busy, "the disk \(folder) is in use") }
        try await unmountIfUnused()
        // The one that makes it a disk comes first; then nothing but empty folders is left, which are removed as such: a
        // mount that nobody knows of could not be lost with them.
        let places = [writer, readers].flatMap { place in
            DirectoryListing.names(in: place).map { "\(place)/\($0)" } + [place]
        }
        let (files, folders) = ([image, draft], places + [disk, folder])
        try await ThreadOfItsOwn.run { () throws(HostError) in
            for path in files {
                guard unlink(path) == 0 || errno == ENOENT else {
                    throw HostError("cannot remove \(path)", errno: errno)
                }
            }
            for path in folders {
                guard rmdir(path) == 0 || errno == ENOENT else {
                    throw HostError("cannot remove \(path)", errno: errno)
                }
            }
        }
    }

    // MARK: - Parts

    /// Never lazily: out of sight the disk would be written on while the next one mounts it again.
    private func unmount(_ path: String) async throws(HostError) {
        // Longer each time, 0.6 s in all: whoever was busy in it was killed a moment ago.
        for pause in [20, 40, 80, 160, 320] {
            if try await Self.isUnmounted(path) { return }
            try? await Task.sleep(for: .milliseconds(pause))
        }
        guard try await Self.isUnmounted(path) else { throw HostError(.busy, "\(path) is in use") }
    }

    /// On a thread of its own: the last unmount writes out what is left in memory.
    /// - Returns: false while it is in use.
    private static func isUnmounted(_ path: String) async throws(HostError) -> Bool {
        try await ThreadOfItsOwn.run { () throws(HostError) -> Bool in
            // EINVAL: nothing is mounted there.
            if umount2(path, 0) == 0 || errno == EINVAL { return true }
            guard errno == EBUSY else { throw HostError("cannot unmount \(path)", errno: errno) }
            return false
        }
    }

    private static func sync(_ path: String) throws(HostError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw HostError("cannot open \(path)", errno: errno) }
        let (synced, reason) = (fsync(file), errno)
        close(file)
        guard synced == 0 else { throw HostError("cannot write \(path) to disk", errno: reason) }
    }

    func run(_ tool: String, _ arguments: [String], _ complaint: String) async throws(HostError) {
        do throws(ToolError) {
            try await tools.run(tool, arguments, deadline: .seconds(20))
        } catch {
            throw HostError(complaint, error)
        }
    }
}
