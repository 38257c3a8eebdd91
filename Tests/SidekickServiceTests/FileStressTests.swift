import FoundationEssentials
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing

/// Whatever the size of what passes through, the Sidekick holds a few pieces of it.
@Suite(.serialized) struct FileStressTests {
    private static let megabytes = 200

    /// Fails when the most memory that the Sidekick had ever resident grew.
    private static func flat(
        _ setUp: String, _ body: @escaping @Sendable (SidekickPlace) async throws -> Void
    ) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            #expect(try await place.command(setUp).exitCode == 0)
            let pid = try await place.sidekickPID()
            let before = try mostResidentKiB(pid)
            try await body(place)
            let growth = try mostResidentKiB(pid) - before
            #expect(growth <= 20 << 10, "grew by \(growth) KiB")
            #expect(place.errors == [])
        }
    }

    private static func mostResidentKiB(_ pid: Int32) throws -> Int {
        let status = FileManager.default.contents(atPath: "/proc/\(pid)/status") ?? Data()
        let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("VmHWM") }
        let number = line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
        return try #require(number.flatMap { Int($0) })
    }

    @Test func aLargeFileGoesUpAndDown() async throws {
        try await Self.flat("true") { place in
            let piece = ByteBuffer(bytes: SidekickPlace.noise(1 << 20))
            let put = try await place.converse(.PUT, "/files/content/big", length: Self.megabytes << 20) { connection in
                for _ in 0..<Self.megabytes { try await connection.sendBody(piece) }
                try await connection.finish()
            }
            #expect(put.status == 201, "\(put.text)")
            #expect(try await place.download("/files/content/big") == Self.megabytes << 20)
        }
    }

    @Test(arguments: ["tar.gz", "zip"])
    func manyMembersAreUnpackedAndPacked(_ format: String) async throws {
        let script =
            format == "zip"
            ? "z=zipfile.ZipFile('in','w')\nfor i in range(10000): z.writestr('%d/%d' % (i % 100, i), '')\nz.close()"
            : "z=tarfile.open('in','w:gz')\nfor i in range(10000): z.addfile(tarfile.TarInfo('%d/%d' % (i % 100, i)))\nz.close()"
        try await Self.flat("python3 - <<'END'\nimport tarfile, zipfile\n\(script)\nEND") { place in
            let archive = try #require(FileManager.default.contents(atPath: place.home + "/in"))
            let unpacked = try await place.bytes(.POST, "/files/archive?path=new", body: Array(archive))
            #expect(unpacked.status == 200 && unpacked.text.contains(#""entries":10000"#), "\(unpacked.text)")
            #expect(try await place.command("find new -type f | wc -l").stdout == "10000\n")
            #expect(try await place.download("/files/archive?path=new&format=\(format)") > 0)
        }
    }

    /// Of a file that has a size and no content on disk, so that it is the archive that takes the time.
    @Test(arguments: ["tar", "tar.gz", "zip"]) func aLargeTreeIsPackedAndUnpacked(_ format: String) async throws {
        try await Self.flat("mkdir big; truncate -s \(Self.megabytes)M big/file") { place in
            let source = "/files/archive?path=big&format=\(format)"
            let length = try await place.download(source)
            let unpacked = try await place.converse(.POST, "/files/archive?path=new", length: length) { connection in
                try await place.download(source) { try await connection.sendBody($0) }
                try await connection.finish()
            }
            #expect(unpacked.status == 200, "\(unpacked.text)")
            #expect(try await place.command("stat -c %s new/file").stdout == "\(Self.megabytes << 20)\n")
        }
    }
}
