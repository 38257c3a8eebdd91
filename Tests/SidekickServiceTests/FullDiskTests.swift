import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Testing

/// A file system that fills up under the real executable. Only who may mount one can run this.
@Suite(.enabled(if: TinyDisk.isAllowed, "only root can mount a tiny disk"))
struct FullDiskTests {
    @Test func aFullDiskIsNamedAndTakesNothingAway() async throws {
        let place = try SidekickPlace()
        let disk = try TinyDisk(at: place.home + "/disk")
        try await place.run { place in
            try await place.claim()
            let write = { (name: String, content: String) in
                try await place.authorized(
                    .POST, "/files", body: #"{"path":"disk/\#(name)","content":"\#(content)"}"#)
            }
            #expect(try await write("kept", "old").status == 201)

            for name in ["kept", "new"] {
                let refused = try await write(name, String(repeating: "x", count: TinyDisk.bytes * 2))
                #expect(refused.status == 507)
                #expect(refused.text("code") == "disk_full")
                #expect(refused.text("field") == "path")
                #expect(refused.text("message")?.contains(place.home + "/disk/" + name) == true)
            }

            #expect(try await place.authorized(.GET, "/files/disk/kept?content=true").text("content") == "old")
            // Neither a temporary file nor an empty new one.
            #expect(try await place.command("ls -A disk").stdout == "kept\n")
            #expect(try await place.command("echo fine").stdout == "fine\n")
            #expect(try await write("kept", "newer").status == 201)
            #expect(try await place.authorized(.GET, "/files/disk/kept?content=true").text("content") == "newer")
        }
        disk.unmount()
    }

    @Test func anOverlayThatFillsTheDiskFailsAndSaysSo() async throws {
        let place = try SidekickPlace()
        let disk = try TinyDisk(at: place.home + "/disk")
        try await place.run { place in
            try await place.claim()
            _ = try await place.command("mkdir t; head -c \(TinyDisk.bytes * 2) /dev/zero > t/large")
            let created = try await OverlayTests.create(["target": .string("disk/t")], in: place)
            #expect(created.status == 201)
            #expect(created.text("copy_status") == "failed")
            #expect(created.text("copy_error")?.contains("the disk is full") == true)
            #expect(try await place.command("ls -A disk/t; echo fine").stdout == "fine\n")
        }
        disk.unmount()
    }
}

/// A tmpfs that is gone with the value.
private final class TinyDisk: Sendable {
    static let bytes = 256 << 10
    private let path: String

    init(at path: String) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try #require(Self.mounted(path))
    }
    deinit { unmount() }

    /// Also when a test left something open: the place is removed afterwards, and must not be a mount point.
    func unmount() { _ = umount2(path, Int32(MNT_DETACH)) }

    private static func mounted(_ path: String) -> Bool {
        mount("tmpfs", path, "tmpfs", 0, "size=\(bytes)") == 0
    }

    /// Root in a container often may not.
    static let isAllowed: Bool = {
        let path = "/tmp/disk-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        guard mkdir(path, 0o700) == 0 else { return false }
        defer { rmdir(path) }
        guard mounted(path) else { return false }
        return umount2(path, Int32(MNT_DETACH)) == 0
    }()
}
