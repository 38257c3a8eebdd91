import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Subprocess
import Synchronization
import Testing

struct UploadTests {
    private static func begin(_ place: SidekickPlace, _ fields: String) async throws -> String {
        let answer = try await place.authorized(.POST, "/files/uploads", body: fields)
        #expect(answer.status == 201, "\(answer.body)")
        #expect(answer.headers.first(name: "Upload-Offset") == "0")
        return try #require(answer.data("id"))
    }

    private static func append(_ place: SidekickPlace, _ id: String, _ offset: Int, _ bytes: [UInt8]) async throws
        -> BytesAnswer
    {
        try await place.bytes(.PATCH, "/files/uploads/\(id)", body: bytes, headers: ["Upload-Offset": "\(offset)"])
    }

    @Test func anUploadInPiecesIsThereWhenItsSizeIsReached() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let content = SidekickPlace.noise(700_000)
            let digest = SidekickPlace.sha256(content)
            let id = try await Self.begin(place, #"{"path":"d/f","size":700000,"sha256":"\#(digest)","mode":"600"}"#)
            let first = try await Self.append(place, id, 0, Array(content[..<300_000]))
            #expect(first.status == 200 && first.header("Upload-Offset") == "300000", "\(first.text)")
            let wrong = try await Self.append(place, id, 5, [1])
            #expect(wrong.status == 409 && wrong.header("Upload-Offset") == "300000")
            #expect(try await place.authorized(.HEAD, "/files/d/f").status == 404, "not before it is whole")
            let early = try await place.authorized(.POST, "/files/uploads/\(id)/complete")
            #expect(early.status == 409)
            let last = try await Self.append(place, id, 300_000, Array(content[300_000...]))
            #expect(last.status == 201 && last.text.contains(digest), "\(last.text)")

            // Whoever says a wrong digest at the end may say it again; one of the begin is what the upload is held to.
            let again = try await Self.begin(place, #"{"path":"again"}"#)
            _ = try await Self.append(place, again, 0, [1, 2, 3])
            let none = String(repeating: "0", count: 64)
            for (said, status) in [(none, 400), (SidekickPlace.sha256([1, 2, 3]), 201)] {
                let answer = try await place.authorized(
                    .POST, "/files/uploads/\(again)/complete", body: #"{"sha256":"\#(said)"}"#)
                #expect(answer.status == status, "\(answer.body)")
            }
            #expect(try await place.bytes(.GET, "/files/content/d/f").body == content)
            #expect(try await place.command("stat -c %a d/f; ls -A d").stdout == "600\nf\n")
            #expect(try await place.authorized(.POST, "/files/uploads/\(id)/complete").status == 404)
        }
    }

    @Test func whatWasThereWhenTheConnectionBrokeIsGoneOnFrom() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let content = SidekickPlace.noise(900_000)
            let id = try await Self.begin(place, #"{"path":"f"}"#)
            try await place.breakOff(
                .PATCH, "/files/uploads/\(id)", body: Array(content[..<600_000]), of: 900_000,
                headers: ["Upload-Offset": "0"]
            ) {
                try await eventually("something on disk") {
                    let answer = try await place.authorized(.HEAD, "/files/uploads/\(id)")
                    return answer.headers.first(name: "Upload-Offset").flatMap { Int($0) } ?? 0 > 0
                }
            }
            // Another writer's offset is the truth as soon as nobody else writes; until then it may be told again.
            var offset = 0
            try await eventually("the rest is taken") {
                let state = try await place.authorized(.GET, "/files/uploads/\(id)")
                offset = try #require(state.headers.first(name: "Upload-Offset").flatMap { Int($0) })
                return try await Self.append(place, id, offset, Array(content[offset...])).status == 200
            }
            let done = try await place.authorized(
                .PUT, "/files/uploads/\(id)/complete", body: #"{"sha256":"\#(SidekickPlace.sha256(content))"}"#)
            #expect(done.status == 201, "\(done.body)")
            #expect(try await place.bytes(.GET, "/files/content/f").body == content)
        }
    }

    @Test(arguments: [Signal.kill, .terminate])
    func whatWasAcknowledgedIsGoneOnFromByTheNextProcess(_ signal: Signal) async throws {
        // As somebody else where that can be: who it was is part of what has to be found again.
        let place = try SidekickPlace(user: geteuid() == 0 ? .unprivileged() : nil)
        let content = SidekickPlace.noise(900_000)
        let digest = SidekickPlace.sha256(content)
        let ids = Mutex<[String]>([])
        try await place.run(ending: signal) { place in
            try await place.claim()
            let id = try await Self.begin(
                place, #"{"path":"d/f","size":900000,"sha256":"\#(digest)","mode":"600","overwrite":false}"#)
            #expect(try await Self.append(place, id, 0, Array(content[..<300_000])).status == 200)
            let lost = try await Self.begin(place, #"{"path":"lost"}"#)
            let ended = try await Self.begin(place, #"{"path":"ended","size":1}"#)
            #expect(try await Self.append(place, ended, 0, [1]).status == 201)
            ids.withLock { $0 = [id, lost, ended] }
        }
        // Its user has tidied up.
        for name in try FileManager.default.contentsOfDirectory(atPath: place.home) where name.hasPrefix(".sidekick") {
            try FileManager.default.removeItem(atPath: place.home + "/" + name)
        }
        try await place.run { place in
            let ids = ids.withLock { $0 }
            for id in ids[1...] {
                #expect(try await place.authorized(.HEAD, "/files/uploads/\(id)").status == 404)
            }
            let state = try await place.authorized(.GET, "/files/uploads/\(ids[0])")
            #expect(state.headers.first(name: "Upload-Offset") == "300000", "\(state.body)")
            #expect(state.json["data"]?.members["size"] == .int(900_000))
            let wrong = try await Self.append(place, ids[0], 0, [1])
            #expect(wrong.status == 409 && wrong.header("Upload-Offset") == "300000")
            let done = try await Self.append(place, ids[0], 300_000, Array(content[300_000...]))
            #expect(done.status == 201 && done.text.contains(digest), "\(done.text)")
            #expect(try await place.bytes(.GET, "/files/content/d/f").body == content)
            #expect(try await place.command("stat -c %a d/f; ls -A d").stdout == "600\nf\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: place.path + "/state/uploads") == [])
            #expect(place.errors == [])
        }
    }

    @Test func abortedRefusedAndExcessiveUploadsLeaveNothing() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            _ = try await place.bytes(.PUT, "/files/content/f", body: Array("old".utf8))
            let aborted = try await Self.begin(place, #"{"path":"f"}"#)
            _ = try await Self.append(place, aborted, 0, [1, 2, 3])
            #expect(try await place.authorized(.DELETE, "/files/uploads/\(aborted)").status == 204)
            #expect(try await Self.append(place, aborted, 3, [4]).status == 404)

            let wrong = try await Self.begin(place, #"{"path":"f","size":1,"sha256":"\#(SidekickPlace.sha256([2]))"}"#)
            #expect(try await Self.append(place, wrong, 0, [1]).status == 400)
            #expect(try await Self.append(place, wrong, 1, [1]).status == 404)

            let small = try await Self.begin(place, #"{"path":"f","size":2}"#)
            #expect(try await Self.append(place, small, 0, [1, 2, 3]).status == 413)
            #expect(try await place.authorized(.DELETE, "/files/uploads/\(small)").status == 204)

            for (fields, field) in [
                ("{}", "path"), (#"{"path":"x","size":-1}"#, "size"), (#"{"path":"x","sha256":"1"}"#, "sha256"),
                (#"{"path":"x","mode":"rwx"}"#, "mode"), (#"{"path":"/"}"#, "path"),
            ] {
                let refused = try await place.authorized(.POST, "/files/uploads", body: fields)
                #expect(
                    (400...409).contains(refused.status) && refused.text("field") == field, "\(fields): \(refused.body)"
                )
            }
            let missing = try await place.bytes(.PATCH, "/files/uploads/\(aborted)", body: [1])
            #expect(missing.status == 404)
            #expect(try FileManager.default.contentsOfDirectory(atPath: place.home) == ["f"])
            #expect(try await place.bytes(.GET, "/files/content/f").text == "old")

            var ids: [String] = []
            for _ in 0..<64 { ids.append(try await Self.begin(place, #"{"path":"many"}"#)) }
            let tooMany = try await place.authorized(.POST, "/files/uploads", body: #"{"path":"many"}"#)
            #expect(tooMany.status == 429)
            for id in ids { _ = try await place.authorized(.DELETE, "/files/uploads/\(id)") }
            #expect(try FileManager.default.contentsOfDirectory(atPath: place.home) == ["f"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: place.path + "/state/uploads") == [])
            #expect(place.errors == [])
        }
    }

    @Test func aDirectoryNamedUploadsIsStillReached() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            #expect(try await place.authorized(.POST, "/files", body: #"{"path":"uploads/a"}"#).status == 201)
            #expect(try await place.authorized(.HEAD, "/files/uploads/a").status == 200)
            #expect(try await place.authorized(.GET, "/files/uploads/a").json["data"]?.members["file"] != nil)
            #expect(try await place.authorized(.DELETE, "/files/uploads/a").status == 204)
            #expect(try await place.authorized(.GET, "/files/uploads").status == 200)
        }
    }
}
