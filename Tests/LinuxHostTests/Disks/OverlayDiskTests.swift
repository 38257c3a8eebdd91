import Foundation
import Glibc
import LinuxHost
import Testing

@Suite(
    .timeLimit(.minutes(2)),
    // Root mounts; mkfs.ext4 is in e2fsprogs.
    .enabled(if: geteuid() == 0 && Tools.ofThisProcess.path(of: "mkfs.ext4") != nil, "needs root and mkfs.ext4"))
struct OverlayDiskTests {
    @Test func whatIsWrittenStaysOnTheDiskAndTheImageStaysClean() async throws {
        try await withFolder { folder in
            let disk = disk(in: folder)
            let rootfs = try await mount(disk, folder)
            #expect(try String(contentsOfFile: "\(rootfs)/etc/name", encoding: .utf8) == "image")
            try "mine".write(toFile: "\(rootfs)/etc/name", atomically: false, encoding: .utf8)
            #expect(try await mount(disk, folder) == rootfs)
            try await disk.unmount()
            #expect(OverlayDisk.mounted(below: folder) == [])
            #expect(try String(contentsOfFile: "\(folder)/lower/etc/name", encoding: .utf8) == "image")
            _ = try await mount(disk, folder)
            #expect(try String(contentsOfFile: "\(rootfs)/etc/name", encoding: .utf8) == "mine")
        }
    }

    @Test func aFullDiskIsAnErrorOfTheWriterAndIsUsableAfterwards() async throws {
        try await withFolder { folder in
            let rootfs = try await mount(disk(in: folder), folder)
            let file = open("\(rootfs)/big", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            defer { close(file) }
            let block = [UInt8](repeating: 7, count: 1 << 20)
            var written = 0
            while written < 64 << 20 {
                let count = write(file, block, block.count)
                if count < 0 { break }
                written += count
            }
            #expect(errno == ENOSPC)
            #expect(written > 8 << 20 && written < 32 << 20)
            unlink("\(rootfs)/big")
            ftruncate(file, 0)
            #expect(write(file, block, block.count) == block.count)
        }
    }

    @Test func programsMayChangeTheirUserAndDevicesAreNone() async throws {
        try await withFolder { folder in
            let rootfs = try await mount(disk(in: folder), folder)
            let tools = Tools.ofThisProcess
            let options = try await tools.run("findmnt", ["-n", "-o", "OPTIONS", rootfs]).standardOutput
            #expect(!options.contains("nosuid") && !options.contains("noexec"))
            #expect(options.contains("nodev") && options.contains("noatime"))
        }
    }

    @Test func halfMadeDisksAreCompletedOrRemoved() async throws {
        try await withFolder { folder in
            let disk = disk(in: folder)
            let rootfs = try await mount(disk, folder)
            try "kept".write(toFile: "\(rootfs)/kept", atomically: false, encoding: .utf8)
            // Cut off between the two mounts.
            detach(rootfs)
            _ = try await mount(disk, folder)
            #expect(access("\(rootfs)/kept", F_OK) == 0)
            detach(rootfs)
            try await disk.unmount()
            #expect(OverlayDisk.mounted(below: folder) == [])
            // Cut off while the image was copied.
            unlink("\(disk.folder)/disk.img")
            try "half".write(toFile: "\(disk.folder)/disk.img.new", atomically: false, encoding: .utf8)
            _ = try await mount(disk, folder)
            #expect(access("\(rootfs)/kept", F_OK) != 0)
            try await disk.unmount()
            try await disk.unmount()
        }
    }

    @Test func aBusyDiskDisappearsAtOnceAndItsDeviceWithItsLastUser() async throws {
        try await withFolder { folder in
            let disk = disk(in: folder)
            let rootfs = try await mount(disk, folder)
            let file = open("\(rootfs)/busy", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            try await disk.unmount()
            #expect(OverlayDisk.mounted(below: folder) == [])
            close(file)
            try await eventually { OverlayDisk.loops(below: folder) == [] }
        }
    }

    @Test func devicesOfDeletedFilesAreFoundAndLetGo() async throws {
        try await withFolder { folder in
            let disk = disk(in: folder)
            _ = try await mount(disk, folder)
            // One that does not go by itself, as other programs make them.
            try await Tools.ofThisProcess.run("truncate", ["-s", "1M", "\(disk.folder)/other.img"])
            try await Tools.ofThisProcess.run("losetup", ["-f", "\(disk.folder)/other.img"])
            unlink("\(disk.folder)/other.img")
            unlink("\(disk.folder)/disk.img")
            #expect(OverlayDisk.loops(below: disk.folder).count == 2)
            try await disk.unmount()
            try await eventually { OverlayDisk.loops(below: folder) == [] }
        }
    }

    @Test func manyDisksAtOnceHaveDevicesOfTheirOwn() async throws {
        try await withFolder { folder in
            let disks = (0..<24).map {
                OverlayDisk(folder: "\(folder)/disk\($0)", templates: "\(folder)/templates", tools: .ofThisProcess)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for disk in disks {
                    group.addTask {
                        let rootfs = try await disk.mount(lower: ["\(folder)/lower"], sizeBytes: 16 << 20)
                        try disk.folder.write(toFile: "\(rootfs)/whose", atomically: false, encoding: .utf8)
                    }
                }
                try await group.waitForAll()
            }
            for disk in disks {
                #expect(try String(contentsOfFile: "\(disk.rootfs)/whose", encoding: .utf8) == disk.folder)
            }
            #expect(OverlayDisk.loops(below: folder).count == disks.count)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for disk in disks { group.addTask { try await disk.unmount() } }
                try await group.waitForAll()
            }
        }
    }

    @Test func failingAndHangingToolsLeaveNothingMounted() async throws {
        let mounter = try #require(Tools.ofThisProcess.path(of: "mount"))
        // The first mounts and then fails, as one does that is killed before it can say that it was done.
        for script in ["exit 32", "\(mounter) \"$@\"; kill -9 $$"] {
            try await withFakeTools(["mount": script]) { tools in
                try await withFolder { folder in
                    let broken = disk(in: folder, tools: Tools(path: tools))
                    await #expect(throws: HostError.self) { try await mount(broken, folder) }
                    #expect(OverlayDisk.mounted(below: folder) == [])
                    _ = try await mount(disk(in: folder), folder)
                }
            }
        }
        try await withFakeTools(["mount": "exec sleep 1000"]) { tools in
            try await withFolder { folder in
                let broken = disk(in: folder, tools: Tools(path: tools))
                let error = await #expect(throws: HostError.self) {
                    try await broken.mount(lower: ["\(folder)/lower"], sizeBytes: 16 << 20, deadline: .seconds(1))
                }
                #expect(error?.code == .deadlineExceeded)
                #expect(OverlayDisk.mounted(below: folder) == [])
            }
        }
    }

    // MARK: -

    /// MNT_DETACH: a process that was just forked by another test may hold a file of ours until it becomes a program.
    private func detach(_ point: String) { #expect(umount2(point, 2) == 0) }

    /// With a name that overlay's options would take apart.
    private func disk(in folder: String, tools: Tools = .ofThisProcess) -> OverlayDisk {
        OverlayDisk(folder: "\(folder)/disk a,b:c", templates: "\(folder)/templates", tools: tools)
    }

    @discardableResult
    private func mount(_ disk: OverlayDisk, _ folder: String) async throws -> String {
        try await disk.mount(lower: ["\(folder)/lower"], sizeBytes: 16 << 20)
    }

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = "/tmp/overlay-disk-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: "\(folder)/lower/etc", withIntermediateDirectories: true)
        try "image".write(toFile: "\(folder)/lower/etc/name", atomically: false, encoding: .utf8)
        func sweep() async throws {
            try await OverlayDisk(folder: folder, templates: folder, tools: .ofThisProcess).unmount()
            try FileManager.default.removeItem(atPath: folder)
        }
        do { try await body(folder) } catch {
            try? await sweep()
            throw error
        }
        try await sweep()
        #expect(OverlayDisk.mounted(below: folder) == [])
        try await eventually { OverlayDisk.loops(below: folder) == [] }
    }

    /// The kernel lets go of a device after the unmount has returned.
    private func eventually(_ condition: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while !condition() {
            guard ContinuousClock.now < end else {
                Issue.record("not within 20 s")
                return
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
