import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Testing

/// User code that swaps a directory for a link and back, as fast as it can, while the Sidekick works there.
struct FileRaceTests {
    /// Everything that goes through `tree/d` may land in it, fail, or be undone by the swapping; never in `outside`.
    private static func racing(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let started = try await place.command(
                """
                mkdir -p tree/d outside; printf precious > outside/kept; chmod 640 outside/kept
                (while [ ! -e stop ]; do mv tree/d aside; ln -s ../outside tree/d; rm tree/d; mv aside tree/d; done) >/dev/null 2>&1 &
                """)
            #expect(started.exitCode == 0)
            try await body(place)
            let seen = try await place.command("touch stop; ls -A outside; stat -c %a outside/kept; cat outside/kept")
            #expect(seen.stdout == "kept\n640\nprecious", "\(seen)")
            #expect(place.errors == [])
        }
    }

    @Test func unpackingNeverWritesThroughASwappedDirectory() async throws {
        try await Self.racing { place in
            let made = "mkdir -p src/d/e; for i in 1 2 3 4 5 6 7 8; do echo $i > src/d/$i; echo $i > src/d/e/$i; done"
            #expect(try await place.command(made).exitCode == 0)
            let archive = try await place.bytes(.GET, "/files/archive?path=src&format=tar")
            for _ in 0..<40 {
                let answer = try await place.bytes(.POST, "/files/archive?path=tree", body: archive.body)
                #expect([200, 400, 403, 404, 409].contains(answer.status), "\(answer.text)")
            }
        }
    }

    @Test func recursiveChangesNeverReachBehindASwappedDirectory() async throws {
        try await Self.racing { place in
            for _ in 0..<40 {
                for (path, body) in [
                    ("chmod", #"{"path":"tree","mode":"700","recursive":true}"#),
                    ("copy", #"{"from":"tree","to":"copy","recursive":true,"overwrite":true}"#),
                ] {
                    let answer = try await place.authorized(.POST, "/files/\(path)", body: body)
                    #expect([200, 400, 404, 409].contains(answer.status), "\(answer.body)")
                }
                let found = try await place.authorized(
                    .POST, "/files/search", body: #"{"pattern":"precious","path":"tree"}"#)
                #expect(found.status == 200 && found.json["data"]?.members["count"] == .int(0), "\(found.body)")
                let packed = try await place.bytes(.GET, "/files/archive?path=tree&format=tar")
                #expect(packed.status == 200 && !packed.text.contains("precious"))
            }
            #expect(
                try await place.command("(test -L copy/d || test ! -e copy/d/kept) && echo clean").stdout == "clean\n")
        }
    }
}

/// What an account cannot reach himself, no route reaches for him.
@Suite(.enabled(if: geteuid() == 0, "only root can become another account"))
struct FileRightsTests {
    @Test func newRoutesHaveTheRightsOfTheAccount() async throws {
        let account = try TestAccount.unprivileged()
        try await SidekickPlace(user: account).run { place in
            try await place.claim()
            let secret = place.path + "/root-only"
            try #require(mkdir(secret, 0o700) == 0)
            #expect(FileManager.default.createFile(atPath: secret + "/f", contents: Data("root's".utf8)))
            #expect(
                try await place.command("ln -s \(secret) link; ln -s \(secret)/f flink; echo mine > own").exitCode == 0)
            for path in ["link/f", "flink", "\(secret)/f"] {
                #expect(try await place.bytes(.GET, "/files/content/\(path)").status == 403, "\(path)")
                #expect(try await place.bytes(.PUT, "/files/content/\(path)", body: [1]).status == 403, "\(path)")
                for (route, body) in [
                    ("copy", #"{"from":"\#(path)","to":"got"}"#), ("move", #"{"from":"link/f","to":"got"}"#),
                    ("copy", #"{"from":"own","to":"\#(secret)/new"}"#),
                    ("move", #"{"from":"own","to":"\#(secret)/new"}"#),
                    ("mkdir", #"{"path":"link/new"}"#), ("symlink", #"{"path":"link/new","target":"x"}"#),
                    ("chmod", #"{"path":"\#(path)","mode":"777"}"#),
                    ("search", #"{"path":"\#(path)","pattern":"root"}"#),
                    ("uploads", #"{"path":"link/new"}"#),
                ] {
                    let answer = try await place.authorized(.POST, "/files/\(route)", body: body)
                    #expect(answer.status == 403, "\(route) \(body): \(answer.body)")
                }
            }
            #expect(try await place.bytes(.GET, "/files/archive?path=link").status == 403)
            let whole = try await place.bytes(.GET, "/files/archive?path=\(place.path)&format=tar")
            #expect(!whole.text.contains("root's"))
            let into = try await place.bytes(.GET, "/files/archive?path=own&format=tar")
            #expect(try await place.bytes(.POST, "/files/archive?path=link", body: into.body).status == 403)
            #expect(try FileManager.default.contentsOfDirectory(atPath: secret) == ["f"])
            // And what is made belongs to the account.
            #expect(try await place.bytes(.PUT, "/files/content/a/b", body: [1]).status == 201)
            #expect(try await place.bytes(.POST, "/files/archive?path=c", body: into.body).status == 200)
            #expect(try await place.command("stat -c %u a a/b c c/own | sort -u").stdout == "\(account.uid)\n")
            #expect(place.errors == [])
        }
    }
}
