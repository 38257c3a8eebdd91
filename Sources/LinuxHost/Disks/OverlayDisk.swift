import Glibc

/// A container's root file system: images below, and on top a writable layer that cannot outgrow its own disk.
///
/// ```
///  <folder>/disk.img   sparse ext4 file ── loop device ──► <folder>/layer/{upper,work}
///  <folder>/rootfs     overlay: lower… + layer/upper
/// ```
/// Nothing is remembered: what is mounted is read from the kernel, so a crash between any two steps is made good by
/// `mount` or `unmount` called again.
package struct OverlayDisk: Sendable {
    package let folder: String
    let templates: String
    /// The file with what was written: in the folder, or somewhere else, where it outlives this.
    package let image: String
    let tools: Tools

    /// - Parameters:
    ///   - folder: of this one disk. Absolute, without symbolic links, so that the kernel's tables can be searched for it.
    ///   - templates: where the empty file systems are kept that disks are copied from.
    ///   - image: a disk that is there, which nobody else has mounted; nil: one of its own.
    package init(folder: String, templates: String, image: String? = nil, tools: Tools) {
        self.folder = folder
        self.templates = templates
        self.image = image ?? "\(folder)/disk.img"
        self.tools = tools
    }

    package var rootfs: String { "\(folder)/rootfs" }
    private var layer: String { "\(folder)/layer" }

    /// Makes the empty file system that disks of this size start from; `mount` does so itself when it has to.
    package static func prepareTemplate(sizeBytes: Int, in folder: String, tools: Tools) async throws(HostError) {
        _ = try await DiskTemplate.make(sizeBytes: sizeBytes, in: folder, tools: tools)
    }

    /// - Parameters:
    ///   - lower: read-only folders, the topmost first.
    ///   - sizeBytes: of a new disk; one that is there keeps its size and content. nil: there must be one.
    ///   - deadline: of each program that is run.
    /// - Returns: the folder that holds the root file system. Mounted already: as it is.
    package func mount(lower: [String], sizeBytes: Int?, deadline: Duration = .seconds(20)) async throws(HostError)
        -> String
    {
        let points = Self.mounted(below: folder)
        if points.contains(rootfs) { return rootfs }
        for path in [folder, layer, rootfs] { try DirectoryListing.make(path) }
        if access(image, F_OK) != 0 {
            guard let sizeBytes else { throw HostError("there is no disk \(image)", errno: ENOENT) }
            let template = try await DiskTemplate.make(sizeBytes: sizeBytes, in: templates, tools: tools)
            try DiskTemplate.copy(template, to: image)
        }
        do throws(HostError) {
            if !points.contains(layer) {
                // The loop device goes with its mount. `noinit_itable`: nobody writes zeros over zeros in the background.
                // Programs with the set-user-id bit are wanted inside (`sudo`), devices are not.
                try await run(
                    "mount", ["-t", "ext4", "-o", "loop,noatime,nodev,discard,noinit_itable", image, layer],
                    deadline: deadline, "cannot mount a disk")
            }
            try mountOverlay(lower)
        } catch {
            // In a task of its own: ours may be the one that was cancelled, and half a disk must not stay.
            await Task { try? await unmount() }.value
            throw error
        }
        return rootfs
    }

    private func mountOverlay(_ lower: [String]) throws(HostError) {
        for name in ["upper", "work"] { try DirectoryListing.make("\(layer)/\(name)", mode: 0o755) }
        // Without the features that change what is on the disk: it may be mounted again by another kernel.
        let options =
            "lowerdir=\(lower.map(Self.escaped).joined(separator: ":")),upperdir=\(Self.escaped("\(layer)/upper")),"
            + "workdir=\(Self.escaped("\(layer)/work")),redirect_dir=nofollow,metacopy=off,index=off"
        // MS_NODEV and MS_NOATIME of <sys/mount.h>, which are enumerations there.
        guard Glibc.mount("overlay", rootfs, "overlay", 4 | 1024, options) == 0 else {
            throw HostError("cannot lay the disk over its image", errno: errno)
        }
    }

    /// Unmounts all that is mounted in the folder and lets go of its loop devices. The files stay.
    /// Nothing happens when there is nothing.
    package func unmount() async throws(HostError) {
        // Longer each time, 0.6 s in all: whoever is busy in it was killed a moment ago.
        for pause in [20, 40, 80, 160, 320] {
            let points = Self.mounted(below: folder)
            if points.isEmpty { break }
            do throws(HostError) {
                try await run("umount", points, "cannot unmount a disk")
                break
            } catch {
                if error.code != .failed { throw error }
            }
            try? await Task.sleep(for: .milliseconds(pause))
        }
        let busy = Self.mounted(below: folder)
        if !busy.isEmpty {
            // Out of sight now, gone with its last user.
            try await run("umount", ["-l"] + busy, "cannot unmount a disk")
        }
        // A device goes by itself with its last user; one that was made without that wish is told here.
        for device in Self.loops(below: folder) {
            _ = try? await tools.run("losetup", ["-d", device])
        }
    }

    /// Mount points at or below a folder, the newest first.
    package static func mounted(below folder: String) -> [String] {
        MountTable.points(below: folder, in: MountTable.read())
    }

    /// Loop devices whose files lie below a folder, deleted files included.
    package static func loops(below folder: String) -> [String] { LoopDevices.backed(below: folder) }

    /// Overlay's options are separated by commas, its lower folders by colons.
    private static func escaped(_ path: String) -> String {
        path.reduce(into: "") { text, character in
            if "\\,:".contains(character) { text.append("\\") }
            text.append(character)
        }
    }

    private func run(_ tool: String, _ arguments: [String], deadline: Duration = .seconds(20), _ complaint: String)
        async throws(HostError)
    {
        do throws(ToolError) {
            try await tools.run(tool, arguments, deadline: deadline)
        } catch {
            throw HostError(complaint, error)
        }
    }
}
