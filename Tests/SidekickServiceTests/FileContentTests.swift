import ComputeCore
import FoundationEssentials
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import SidekickService
import Testing

struct ByteRangeTests {
    @Test(
        arguments: [
            (nil, ByteRange.whole), ("bytes=0-9", .part(0...9)), ("bytes=5-", .part(5...99)),
            ("bytes=-10", .part(90...99)),
            ("bytes=0-1000", .part(0...99)), ("bytes=-1000", .part(0...99)), ("bytes=99-99", .part(99...99)),
            ("bytes=100-", .unsatisfiable), ("bytes=-0", .unsatisfiable), ("bytes=5-4", .whole),
            ("bytes=0-1,3-4", .whole),
            ("lines=0-1", .whole), ("bytes=a-b", .whole), ("bytes=--1", .whole), ("bytes=", .whole),
            ("bytes=-", .whole),
            ("bytes=99999999999999999999-", .unsatisfiable), ("Bytes = 1-2", .whole), ("bytes= 1 - 2", .part(1...2)),
            ("bytes=1-99999999999999999999", .part(1...99)),
        ] as [(String?, ByteRange)])
    func oneRangeIsReadAndTheRestIsIgnored(_ header: String?, _ expected: ByteRange) {
        #expect(ByteRange(header, size: 100) == expected)
    }

    @Test func anEmptyFileHasNoPart() {
        #expect(ByteRange("bytes=0-", size: 0) == .unsatisfiable)
        #expect(ByteRange("bytes=-5", size: 0) == .unsatisfiable)
    }
}

struct FileContentTests {
    private static func started(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await body(place)
            #expect(place.errors == [])
        }
    }

    @Test func anyBytesOfAnySizeGoUpAndDown() async throws {
        try await Self.started { place in
            for size in [0, 1, 3_000_001] {
                let content = SidekickPlace.noise(size)
                let put = try await place.bytes(.PUT, "/files/content/dir/f%20\(size)?mode=640", body: content)
                #expect(put.status == 201, "\(put.text)")
                #expect(put.text.contains(SidekickPlace.sha256(content)))
                #expect(put.text.contains(#""mode":"0640""#))
                let got = try await place.bytes(.GET, "/files/content/\(place.home)/dir/f%20\(size)")
                #expect(got.status == 200)
                #expect(got.body == content)
                #expect(got.header("Content-Type") == "application/octet-stream")
                #expect(got.header("Content-Length") == "\(size)")
                let head = try await place.bytes(.HEAD, "/files/content/dir%2Ff%20\(size)?sha256=true")
                #expect(head.status == 200 && head.body.isEmpty)
                #expect(head.header("Content-Length") == "\(size)")
                #expect(head.header("X-Content-SHA256") == SidekickPlace.sha256(content))
                #expect(head.header("ETag") == got.header("ETag"))
            }
            let again = try await place.bytes(.PUT, "/files/content/dir/f%201", body: [1, 2])
            #expect(again.status == 200)
            // It has kept its mode, and nothing lies beside it.
            #expect(try await place.command("stat -c %a 'dir/f 1'; ls -A dir | wc -l").stdout == "640\n3\n")
        }
    }

    @Test func partsAndConditionsAreAnsweredAsAsked() async throws {
        try await Self.started { place in
            let content = SidekickPlace.noise(1000)
            _ = try await place.bytes(.PUT, "/files/content/f", body: content)
            let part = try await place.bytes(.GET, "/files/content/f", headers: ["Range": "bytes=100-199"])
            #expect(part.status == 206)
            #expect(part.header("Content-Range") == "bytes 100-199/1000")
            #expect(part.body == Array(content[100..<200]))
            let tag = try #require(part.header("ETag"))
            let modified = try #require(part.header("Last-Modified"))
            #expect(modified.hasSuffix(" GMT") && modified.utf8.count == 29)

            let beyond = try await place.bytes(.GET, "/files/content/f", headers: ["Range": "bytes=1000-"])
            #expect(beyond.status == 416)
            #expect(beyond.header("Content-Range") == "bytes */1000")
            for condition in [tag, modified] {
                let headers: HTTPHeaders = ["Range": "bytes=0-0", "If-Range": condition]
                #expect(try await place.bytes(.GET, "/files/content/f", headers: headers).status == 206)
            }
            let same = try await place.bytes(.GET, "/files/content/f", headers: ["If-None-Match": "\"x\", \(tag)"])
            #expect(same.status == 304 && same.body.isEmpty)

            _ = try await place.bytes(.PUT, "/files/content/f", body: [9])
            let stale: HTTPHeaders = ["Range": "bytes=0-0", "If-Range": tag]
            let changed = try await place.bytes(.GET, "/files/content/f", headers: stale)
            #expect(changed.status == 200 && changed.body == [9])
        }
    }

    @Test func aWrongDigestOrABrokenConnectionLeavesTheOldFileAndNothingElse() async throws {
        try await Self.started { place in
            _ = try await place.bytes(.PUT, "/files/content/f", body: Array("old".utf8))
            let wrong = String(repeating: "0", count: 64)
            for query in ["?sha256=\(wrong)", "?sha256=zz", "?mode=9", "?mode=77777", "?overwrite=perhaps"] {
                let refused = try await place.bytes(.PUT, "/files/content/f\(query)", body: Array("new".utf8))
                #expect(refused.status == 400, "\(query)")
            }
            let there = try await place.bytes(.PUT, "/files/content/f?overwrite=false", body: Array("new".utf8))
            #expect(there.status == 409)
            let part = try await place.bytes(
                .PUT, "/files/content/f", body: [1], headers: ["Content-Range": "bytes 0-0/3"])
            #expect(part.status == 400)
            // In the middle: the temporary file is there, and then it is not.
            try await place.breakOff(.PUT, "/files/content/f", body: SidekickPlace.noise(600_000), of: 10_000_000) {
                try await eventually("a temporary file") {
                    try FileManager.default.contentsOfDirectory(atPath: place.home).count == 2
                }
            }
            try await eventually("no temporary file") {
                try FileManager.default.contentsOfDirectory(atPath: place.home) == ["f"]
            }
            #expect(try await place.bytes(.GET, "/files/content/f").text == "old")
        }
    }

    @Test func whatIsNoFileIsRefused() async throws {
        try await Self.started { place async throws in
            #expect(try await place.command("mkdir d; mkfifo p; ln -s nowhere dangling; ln -s d/f link").exitCode == 0)
            #expect(try await place.bytes(.GET, "/files/content/missing").status == 404)
            #expect(try await place.bytes(.GET, "/files/content/d").status == 409)
            #expect(try await place.bytes(.GET, "/files/content/p").status == 400)
            #expect(try await place.bytes(.GET, "/files/content/dangling").status == 404)
            #expect(try await place.bytes(.GET, "/files/content//proc/self/environ").status == 403)
            #expect(try await place.bytes(.GET, "/files/content/a/%2e%2e/b").status == 400)
            #expect(try await place.bytes(.PUT, "/files/content/d", body: [1]).status == 409)
            #expect(try await place.bytes(.PUT, "/files/content/p", body: [1]).status == 400)
            #expect(try await place.bytes(.PUT, "/files/content//proc/self/comm", body: [1]).status == 403)
            #expect(try await place.bytes(.PUT, "/files/content/d/f/g", body: [1]).status == 201)
            #expect(try await place.bytes(.PUT, "/files/content/link", body: [1]).status == 409)
        }
    }

    /// Some file systems keep any time that a file is given; this one does on most machines.
    @Test(arguments: [Int64.max, Int64.min, 99_999_999_999_999_999, 67_768_036_191_676_798])
    func aFileWithAnImpossibleTimeIsLikeAnyOther(_ seconds: Int64) async throws {
        try await Self.started { place in
            let directory = "/dev/shm/sk-time-\(UInt32.random(in: 0 ... .max))"
            try #require(mkdir(directory, 0o755) == 0)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let file = open(directory + "/f", O_CREAT | O_WRONLY, 0o644)
            let times = [
                timespec(tv_sec: Int(seconds), tv_nsec: 999_999_999), timespec(tv_sec: Int(seconds), tv_nsec: 0),
            ]
            #expect(futimens(file, times) == 0)
            close(file)
            for target in ["/files?path=\(directory)", "/files/\(directory)/f", "/files/content/\(directory)/f"] {
                #expect(try await place.bytes(.GET, target).status == 200, "\(target)")
            }
            for format in ["tar", "zip"] {
                let archive = try await place.bytes(.GET, "/files/archive?path=\(directory)&format=\(format)")
                #expect(try await place.bytes(.POST, "/files/archive?path=\(format)", body: archive.body).status == 200)
            }
        }
    }

    @Test func aDirectoryNamedContentIsStillReachedByTheContract() async throws {
        try await Self.started { place in
            for path in ["content/only", "content/both", "both"] {
                let body = #"{"path":"\#(path)","content":"\#(path)"}"#
                #expect(try await place.authorized(.POST, "/files", body: body).status == 201)
            }
            // As the public clients read and look.
            for name in ["only", "both"] {
                let read = try await place.authorized(.GET, "/files/content/\(name)?content=true")
                #expect(read.text("content") == "content/\(name)")
            }
            #expect(try await place.authorized(.GET, "/files/content/only").json["data"]?.members["file"] != nil)
            #expect(try await place.authorized(.HEAD, "/files/content/only").status == 200)
            #expect(try await place.authorized(.HEAD, "/files/content/neither").status == 404)
            #expect(try await place.bytes(.GET, "/files/content/both").text == "both")
            #expect(try await place.bytes(.GET, "/files/content/content/both").text == "content/both")
            #expect(try await place.authorized(.DELETE, "/files/content/only").status == 204)
            #expect(try await place.authorized(.GET, "/files?path=content").body.contains("both"))
        }
    }
}
