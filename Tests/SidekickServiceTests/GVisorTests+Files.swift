import ComputeCore
import NIOHTTP1
import Testing

extension GVisorTests {
    /// Where gVisor says it otherwise than Linux.
    @Test func whatCannotBeReadOrStartedIsTheCallersFaultHereToo() async throws {
        try await sidekick(user: .unprivileged()) { place in
            for path in ["/files//dev/tty?content=true", "/files/content//dev/tty", "/env?file=/dev/tty"] {
                let answer = try await place.authorized(.GET, path)
                #expect(answer.status == 400, "\(path): \(answer.body)")
            }
            for path in [
                "/files//proc/version?content=true", "/files/content//proc/version", "/files/content//proc/1/cmdline",
            ] {
                let answer = try await place.authorized(.GET, path)
                #expect(answer.status == 403, "\(path): \(answer.body)")
            }
            let long = String(repeating: "x", count: 140_000)
            let answer = try await place.authorized(.POST, "/run/command", body: #"{"command":": \#(long)"}"#)
            #expect(answer.status == 400 && answer.text("field") == "command", "\(answer.body.prefix(500))")
            #expect(place.errors == [])
        }
    }

    @Test func streamsTreesAndArchivesWorkInASandbox() async throws {
        try await sidekick(user: .unprivileged()) { place in
            let content = SidekickPlace.noise(700_000)
            let digest = SidekickPlace.sha256(content)
            let put = try await place.bytes(.PUT, "/files/content/d/f?mode=750&sha256=\(digest)", body: content)
            #expect(put.status == 201 && put.text.contains(digest), "\(put.text)")
            let other = try await place.bytes(.PUT, "/files/content/d/f?sha256=\(digest)", body: [1])
            #expect(other.status == 400, "\(other.text)")
            let head = try await place.bytes(.HEAD, "/files/content/d/f?sha256=true")
            #expect(head.header("X-Content-SHA256") == digest)
            let part = try await place.bytes(.GET, "/files/content/d/f", headers: ["Range": "bytes=600000-"])
            #expect(part.status == 206 && part.body == Array(content[600_000...]))
            let kept = try await place.bytes(.PUT, "/files/content/d/f?overwrite=false", body: [1])
            #expect(kept.status == 409, "\(kept.text)")

            let begun = try await place.authorized(.POST, "/files/uploads", body: #"{"path":"d/up","size":4}"#)
            let id = try #require(begun.data("id"))
            for offset in [0, 2] {
                let answer = try await place.bytes(
                    .PATCH, "/files/uploads/\(id)", body: [1, 2], headers: ["Upload-Offset": "\(offset)"])
                #expect(answer.status == (offset == 0 ? 200 : 201), "\(answer.text)")
            }
            for (route, body) in [
                ("mkdir", #"{"path":"d/e/g"}"#), ("symlink", #"{"path":"d/e/l","target":"../f"}"#),
                ("copy", #"{"from":"d","to":"c","recursive":true}"#), ("move", #"{"from":"c","to":"m"}"#),
                ("chmod", #"{"path":"m","mode":"700","recursive":true}"#),
                ("batch", #"{"files":[{"path":"b","operation":"write","content":"needle"}]}"#),
            ] {
                let answer = try await place.authorized(.POST, "/files/\(route)", body: body)
                #expect(answer.status < 300, "\(route): \(answer.body)")
            }
            let refused = try await place.authorized(.POST, "/files/move", body: #"{"from":"b","to":"d"}"#)
            #expect(refused.status == 409, "\(refused.body)")
            for format in ["tar.gz", "zip"] {
                let packed = try await place.bytes(.GET, "/files/archive?path=m&format=\(format)")
                #expect(packed.status == 200)
                let answer = try await place.bytes(.POST, "/files/archive?path=un-\(format)", body: packed.body)
                #expect(answer.status == 200, "\(answer.text)")
                #expect(try await place.bytes(.GET, "/files/content/un-\(format)/e/l").body == content)
                #expect(try await place.command("test -x un-\(format)/up && test -L un-\(format)/e/l").exitCode == 0)
            }
            let found = try await place.authorized(.POST, "/files/search", body: #"{"pattern":"need.e","regex":true}"#)
            #expect(found.json["data"]?.members["count"] == .int(1), "\(found.body)")
            #expect(place.errors == [])
        }
    }
}
