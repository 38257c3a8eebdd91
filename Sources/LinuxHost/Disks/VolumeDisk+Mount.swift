import Glibc

extension VolumeDisk {
    /// Mounts it for one more user.
    /// - Parameters:
    ///   - owner: whose the top folder of a new disk is to be; of those who write in it nobody may be root.
    ///   - joining: mounts also what a stranger still holds: a process with a mount namespace of its own keeps what was
    ///     mounted when it began, for as long as it lives. Until then it may be a user from before a restart.
    /// - Returns: the folder that this user sees.
    /// - Throws: `.busy` while others have it in a way that excludes this one; `.notFound` when there is no disk.
    package func mount(for user: User, owner: UInt32, joining: Bool = false) async throws(HostError) -> String {
        let path = path(of: user)
        let users = users()
        if users.contains(user) { return path }
        guard users.isEmpty || (user.isReadOnly && users.allSatisfy(\.isReadOnly)) else {
            throw HostError(.busy, "the disk \(folder) is in use")
        }
        guard access(image, F_OK) == 0 else { throw HostError("there is no disk \(folder)", errno: errno) }
        for path in [disk, writer, readers, path] { try DirectoryListing.make(path) }
        if !OverlayDisk.mounted(below: disk).contains(disk) {
            try await attach(joining: joining)
        }
        do throws(HostError) {
            try give(to: owner)
            try bind(user, at: path)
        } catch {
            try? await unmountIfUnused()
            throw error
        }
        return path
    }

    private func attach(joining: Bool) async throws(HostError) {
        let options = "noatime,nodev,nosuid,discard,noinit_itable"
        if let device = OverlayDisk.loops(below: folder).first {
            // A second device under the same file would not know of the first one. The same one is the same file system,
            // however often it is mounted.
            guard joining else { throw HostError(.busy, "the disk \(folder) is being unmounted") }
            do throws(HostError) {
                try await run("mount", ["-t", "ext4", "-o", options, device, disk], "cannot mount a disk")
            } catch {
                // The stranger may have ended just now, and the device with him.
                throw HostError(.busy, error.message, cause: error)
            }
            return
        }
        // What a power cut left is made good by the kernel, from the journal. This is for a disk that says that it is
        // broken, as after errors of the one below it.
        if try DiskTemplate.saysItIsBroken(image) {
            do throws(HostError) {
                try await run("e2fsck", ["-p", image], "cannot repair a disk")
            } catch {
                // It ends with 1 when it had something to mend. Then nothing is left the second time.
                try await run("e2fsck", ["-p", image], "a disk has to be repaired by hand")
            }
        }
        try await run("mount", ["-t", "ext4", "-o", "loop,\(options)", image, disk], "cannot mount a disk")
    }

    /// The top folder is root's until the first user comes.
    private func give(to owner: UInt32) throws(HostError) {
        var info = stat()
        guard lstat(disk, &info) == 0 else { throw HostError("cannot read \(disk)", errno: errno) }
        guard info.st_uid == 0 else { return }
        // Programs want their folder empty. A repair that needs it makes it again.
        rmdir("\(disk)/lost+found")
        guard chmod(disk, 0o755) == 0, chown(disk, owner, owner) == 0 else {
            throw HostError("cannot give \(disk) away", errno: errno)
        }
    }

    private func bind(_ user: User, at path: String) throws(HostError) {
        // Of <sys/mount.h>, which are enumerations there.
        let (readOnly, noSetUserID, noDevices, remount, bind): (UInt, UInt, UInt, UInt, UInt) = (1, 2, 4, 32, 4096)
        guard Glibc.mount(disk, path, "none", bind, nil) == 0 else {
            throw HostError("cannot mount \(path)", errno: errno)
        }
        guard user.isReadOnly else { return }
        // Two calls: the kernel ignores every other wish while it makes the second place.
        guard Glibc.mount("none", path, "none", bind | remount | readOnly | noSetUserID | noDevices, nil) == 0 else {
            let reason = errno
            umount2(path, 0)
            throw HostError("cannot make \(path) read-only", errno: reason)
        }
    }
}
