import Foundation
import Glibc
import LinuxHost
import Testing

@Suite(
    // One of them holds what others have mounted.
    .serialized, .timeLimit(.minutes(4)),
    // Root mounts; mkfs.ext4 is in e2fsprogs.
    .enabled(if: geteuid() == 0 && Tools.ofThisProcess.path(of: "mkfs.ext4") != nil, "needs root and mkfs.ext4"))
struct VolumeDiskTests {
    private static let writer = VolumeDisk.User(name: "one", isReadOnly: false)
    private static func reader(_ name: String) -> VolumeDisk.User { VolumeDisk.User(name: name, isReadOnly: true) }

    @Test func whatOneWritesTheNextOneReads() async throws {
        try await withDisk { disk in
            let path = try await disk.mount(for: Self.writer, owner: 1000)
            try "kept".write(toFile: "\(path)/file", atomically: false, encoding: .utf8)
            try await disk.unmount(for: "one")
            #expect(OverlayDisk.mounted(below: disk.folder) == [])
            try await disk.make(sizeBytes: 64 << 20)
            let again = try await mounted(disk, for: Self.reader("two"))
            #expect(try String(contentsOfFile: "\(again)/file", encoding: .utf8) == "kept", "made twice, kept once")
            #expect(open("\(again)/file", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS)
        }
    }

    @Test func oneWritesOrManyRead() async throws {
        try await withDisk { disk in
            _ = try await disk.mount(for: Self.writer, owner: 1000)
            #expect(try await disk.mount(for: Self.writer, owner: 1000) != "", "the same again")
            await #expect(throws: HostError.self) { try await disk.mount(for: Self.reader("two"), owner: 1000) }
            await #expect(throws: HostError.self) { try await disk.remove() }
            try await disk.unmount(for: "one")
            for name in ["two", "three"] { _ = try await mounted(disk, for: Self.reader(name)) }
            await #expect(throws: HostError.self) { try await disk.mount(for: Self.writer, owner: 1000) }
            #expect(Set(disk.users()) == [Self.reader("two"), Self.reader("three")])
            let folder = String(disk.folder.dropLast("/volume".count))
            #expect(VolumeDisk.users(below: folder).map { $0.user }.sorted() == ["three", "two"])
            #expect(VolumeDisk.users(below: folder).allSatisfy { $0.disk == "volume" })
            try await disk.unmount(for: "two")
            #expect(disk.users() == [Self.reader("three")])
        }
    }

    @Test func theTopFolderIsTheFirstUsers() async throws {
        try await withDisk { disk in
            let path = try await disk.mount(for: Self.writer, owner: 1000)
            var info = stat()
            #expect(stat(path, &info) == 0 && info.st_uid == 1000 && info.st_gid == 1000)
            #expect(DirectoryListing.names(in: path) == [], "empty, as programs want it")
            chown(path, 1234, 1234)
            try await disk.unmount(for: "one")
            _ = try await mounted(disk, for: Self.writer)
            #expect(stat(path, &info) == 0 && info.st_uid == 1234, "whoever owns it later keeps it")
        }
    }

    @Test func halfMadeDisksAreCompletedOrRemoved() async throws {
        try await withDisk { disk in
            unlink("\(disk.folder)/disk.img")
            try "half".write(toFile: "\(disk.folder)/draft.img", atomically: false, encoding: .utf8)
            await #expect(throws: HostError.self) { try await disk.mount(for: Self.writer, owner: 1000) }
            try await disk.make(sizeBytes: 64 << 20)
            _ = try await disk.mount(for: Self.writer, owner: 1000)
            try await disk.unmount(for: "one")
            try await disk.remove()
            #expect(access(disk.folder, F_OK) != 0)
            try await disk.remove()
            try await disk.unmount(for: "one")
        }
    }

    @Test func aPowerCutLosesNothingThatWasOnDisk() async throws {
        try await withDisk { disk in
            let path = try await disk.mount(for: Self.writer, owner: 1000)
            for n in 0..<20 { try synced("\(n)", to: "\(path)/file\(n)") }
            // What a machine finds after the cut: the file as it is now, with its journal, never unmounted.
            try await withDisk { copy in
                try await Tools.ofThisProcess.run("cp", ["\(disk.folder)/disk.img", "\(copy.folder)/disk.img"])
                let found = try await copy.mount(for: Self.reader("two"), owner: 1000)
                for n in 0..<20 {
                    #expect(try String(contentsOfFile: "\(found)/file\(n)", encoding: .utf8) == "\(n)")
                }
            }
        }
    }

    @Test func aDiskThatSaysItIsBrokenIsMendedFirst() async throws {
        try await withDisk { disk in
            let path = try await disk.mount(for: Self.writer, owner: 1000)
            try synced("kept", to: "\(path)/file")
            try await disk.unmount(for: "one")
            let image = "\(disk.folder)/disk.img"
            try await Tools.ofThisProcess.run("tune2fs", ["-E", "force_fsck", image])
            let before = try await Tools.ofThisProcess.run("dumpe2fs", ["-h", image]).standardOutput
            #expect(before.contains("clean with errors"))
            _ = try await mounted(disk, for: Self.writer)
            #expect(try String(contentsOfFile: "\(path)/file", encoding: .utf8) == "kept")
            try await disk.unmount(for: "one")
            let after = try await Tools.ofThisProcess.run("dumpe2fs", ["-h", image]).standardOutput
            #expect(!after.contains("with errors"))
        }
    }

    /// Whoever makes a mount namespace gets a copy of all that is mounted, and keeps it.
    @Test func aStrangersCopyOfTheMountsDelaysTheNextUserAndNoMore() async throws {
        try await withDisk { disk in
            let path = try await disk.mount(for: Self.writer, owner: 1000)
            try synced("kept", to: "\(path)/file")
            let stranger = Process()
            stranger.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
            stranger.arguments = ["--mount", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 60"]
            let output = Pipe()
            stranger.standardOutput = output
            try stranger.run()
            defer { stranger.terminate() }
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "ready\n")
            try await disk.unmount(for: "one")
            #expect(OverlayDisk.mounted(below: disk.folder) == [])
            let refused = await #expect(throws: HostError.self) {
                try await disk.mount(for: Self.writer, owner: 1000)
            }
            #expect(refused?.code == .busy)
            _ = try await disk.mount(for: Self.writer, owner: 1000, joining: true)
            #expect(OverlayDisk.loops(below: disk.folder).count == 1, "one device, however often it is mounted")
            #expect(try String(contentsOfFile: "\(path)/file", encoding: .utf8) == "kept")
            try synced("more", to: "\(path)/file")
            try await disk.unmount(for: "one")
        }
    }

    @Test func aDiskForWhichThereIsNoRoomIsNotMade() async throws {
        try await withDisk { disk in
            let large = VolumeDisk(folder: disk.folder + "-large", tools: .ofThisProcess)
            let refused = await #expect(throws: HostError.self) { try await large.make(sizeBytes: 1 << 60) }
            #expect(refused?.code == .exhausted)
            try await large.remove()
            #expect(access(large.folder, F_OK) != 0)
        }
    }

    /// Others on this machine begin mount namespaces at any time, which hold the device a moment longer.
    private func mounted(_ disk: VolumeDisk, for user: VolumeDisk.User) async throws -> String {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do throws(HostError) {
                return try await disk.mount(for: user, owner: 1000)
            } catch {
                guard error.code == .busy, ContinuousClock.now < deadline else { throw error }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func synced(_ text: String, to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        try #require(file >= 0)
        defer { close(file) }
        try #require(write(file, text, text.utf8.count) == text.utf8.count && fsync(file) == 0)
    }

    private func withDisk(_ body: (VolumeDisk) async throws -> Void) async throws {
        let folder = "/tmp/volume-disk-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let disk = VolumeDisk(folder: "\(folder)/volume", tools: .ofThisProcess)
        try await disk.make(sizeBytes: 64 << 20)
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(disk)) } catch { outcome = .failure(error) }
        for user in disk.users() { try await disk.unmount(for: user.name) }
        try await disk.remove()
        try FileManager.default.removeItem(atPath: folder)
        try outcome.get()
    }
}
