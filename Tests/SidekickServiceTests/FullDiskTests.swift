import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import SidekickService
import Subprocess
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

    @Test func aClaimThatDoesNotFitIsRefusedAndLeavesTheMemberFree() async throws {
        let place = try SidekickPlace()
        let disk = try TinyDisk(at: place.path + "/state")
        let killed = try await place.run(ending: .kill) { place in
            let refused = try await place.claim(env: ["LARGE": String(repeating: "x", count: TinyDisk.bytes * 2)])
            #expect(refused.status == 507)
            #expect(refused.text("code") == "disk_full")
            #expect(try await place.authorized(.GET, "/info").status == 503)
            #expect(try await place.claim(env: [:]).status == 200)
        }
        #expect(killed == .signaled(SIGKILL))
        try await place.run { place in
            let answer = try await place.command("echo -n ${LARGE:-none}")
            #expect(answer.stdout == "none")
        }
        disk.unmount()
    }

    @Test func aFullDiskIsNamedWhenSomethingIsToBeRecorded() throws {
        let place = try SidekickPlace()
        let disk = try TinyDisk(at: place.home + "/disk")
        let file = StateFile<[String]>(place.home + "/disk/list.json", of: "the name", maxBytes: .max)
        try file.save(["kept"])
        let problem = #expect(throws: Problem.self) {
            try file.save([String(repeating: "x", count: TinyDisk.bytes * 2)])
        }
        #expect(problem?.status == 507 && problem?.code == "disk_full")
        #expect(problem?.message == "the disk is full: the name was not recorded")
        #expect(try file.read() == ["kept"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.home + "/disk") == ["list.json"])
        disk.unmount()
    }

    @Test func streamsAndTreesLeaveNothingHalfOnAFullDisk() async throws {
        let place = try SidekickPlace()
        let disk = try TinyDisk(at: place.home + "/disk")
        try await place.run { place in
            try await place.claim()
            let large = SidekickPlace.noise(TinyDisk.bytes * 4)
            #expect(try await place.bytes(.PUT, "/files/content/disk/kept", body: Array("old".utf8)).status == 201)
            for name in ["kept", "new"] {
                let refused = try await place.bytes(.PUT, "/files/content/disk/\(name)", body: large)
                #expect(refused.status == 507 && refused.text.contains("disk_full"), "\(refused.text)")
            }
            // A resumable upload keeps what fitted, and goes on from there when there is room.
            let begun = try await place.authorized(.POST, "/files/uploads", body: #"{"path":"disk/up"}"#)
            let id = try #require(begun.data("id"))
            let target = "/files/uploads/\(id)"
            _ = try await place.bytes(.PATCH, target, body: [1, 2, 3], headers: ["Upload-Offset": "0"])
            let full = try await place.bytes(.PATCH, target, body: large, headers: ["Upload-Offset": "3"])
            #expect(full.status == 507, "\(full.text)")
            let offset = try #require(try await place.bytes(.HEAD, target).header("Upload-Offset"))
            let kept = try #require(Int(offset)) - 3
            #expect((0..<large.count).contains(kept))
            #expect(try await place.bytes(.PATCH, target, body: [4], headers: ["Upload-Offset": offset]).status == 200)
            #expect(try await place.authorized(.POST, target + "/complete").status == 201)
            #expect(try await place.bytes(.GET, "/files/content/disk/up").body == [1, 2, 3] + large[..<kept] + [4])

            #expect(try await place.bytes(.PUT, "/files/content/src/big", body: large).status == 201)
            let archive = try await place.bytes(.GET, "/files/archive?path=src&format=tar")
            for format in ["tar", "zip"] {
                let archive =
                    format == "tar" ? archive : try await place.bytes(.GET, "/files/archive?path=src&format=zip")
                let unpacked = try await place.bytes(.POST, "/files/archive?path=disk/un", body: archive.body)
                #expect(unpacked.status == 507 && unpacked.text.contains("disk_full"), "\(unpacked.text)")
                #expect(try await place.command("rm -r disk/un").exitCode == 0)
            }
            let copied = try await place.authorized(.POST, "/files/copy", body: #"{"from":"src/big","to":"disk/big"}"#)
            #expect(copied.status == 507, "\(copied.body)")
            let moved = try await place.authorized(.POST, "/files/move", body: #"{"from":"src","to":"disk/src"}"#)
            #expect(moved.status == 507, "\(moved.body)")
            #expect(
                try await place.command("ls -A disk src; cat disk/kept").stdout == "disk:\nkept\nup\n\nsrc:\nbig\nold")
            #expect(place.errors == [])
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
