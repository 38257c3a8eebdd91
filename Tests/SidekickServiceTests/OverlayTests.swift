import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Testing

/// `/filesystem/overlays` of the real executable.
struct OverlayTests {
    /// A template with modes, links, a large directory and what cannot be copied.
    private static let template = """
        mkdir -p t/src t/node_modules/pkg t/out && echo a > t/src/a && echo m > t/node_modules/pkg/m && chmod 750 t/src/a
        touch -d 2001-02-03 t/src/a; ln -s a t/src/link; ln -s /etc t/etc; mkfifo t/pipe; echo l > t/x.log
        """

    static func create(_ fields: [String: JSONValue], in place: SidekickPlace) async throws -> SidekickPlace.Answer {
        let body = fields.merging(["source": .string(place.home + "/t"), "target": .string("app")]) { given, _ in given
        }
        return try await place.authorized(.POST, "/filesystem/overlays", body: JSONValue.object(body).line)
    }

    @Test(arguments: ["copy", "smart"])
    func aTemplateIsCopiedAsItIs(strategy: String) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            _ = try await place.command(Self.template)
            let created = try await Self.create(
                ["strategy": .string(strategy), "ignore": .array([.string("*.log"), .string("/out")])], in: place)
            #expect(created.status == 201, "\(created.body)")
            // Small things are there at once, whichever way.
            #expect(try await place.command("cat app/src/link").stdout == "a\n")
            let id = try #require(created.text("id"))
            try await eventually("the copy") {
                try await place.authorized(.GET, "/filesystem/overlays/\(id)").text("copy_status") == "complete"
            }
            let seen = try await place.command(
                "stat -c '%a %Y' app/src/a; readlink app/src/link app/etc; cat app/node_modules/pkg/m; cd app; echo *")
            let time = try await place.command("stat -c %Y t/src/a").stdout
            #expect(seen.stdout == "750 \(time ?? "")a\n/etc\nm\netc node_modules src\n")
            let overlay = try await place.authorized(.GET, "/filesystem/overlays/\(id)").json
            let stats = overlay["stats"]?.members ?? [:]
            #expect(stats["copied_files"] == .int(2))
            #expect(stats["copied_dirs"] == .int(3))
            #expect(stats["symlinked_files"] == .int(1))
            #expect(stats["symlinked_dirs"] == .int(1))
            let skipped = try #require(stats["skipped"]?.elements)
            #expect(Set(skipped.compactMap(\.text)) == ["pipe", "x.log", "out"])
            #expect(overlay["source"] == .string(place.home + "/t"))
            #expect(overlay["target"] == .string("app"))
            let ready = try await place.send(.GET, "/ready").json
            #expect(ready["ready"] == .bool(true))
            let listed = try #require(ready["overlays"]?.elements)
            #expect(listed.first?.members["copy_status"] == .string("complete"))
            #expect(try await place.authorized(.DELETE, "/filesystem/overlays/\(id)").status == 204)
            #expect(try await place.authorized(.GET, "/filesystem/overlays/\(id)").status == 404)
            #expect(try await place.command("cat app/src/a").stdout == "a\n")
        }
    }

    @Test func aServerWaitsForItsOverlaysAlsoInTheNextProcess() async throws {
        let place = try SidekickPlace()
        try await place.run { place in
            try await place.claim()
            _ = try await place.command("mkdir -p t/node_modules; echo a > t/node_modules/a")
            let overlay: JSONValue = .object(["source": .string(place.home + "/t"), "target": .string("app")])
            let created = try await place.server(
                "web", "cat app/node_modules/a >> read; sleep 600", ["overlay": overlay])
            #expect(created.status == 201, "\(created.body)")
            try await eventually("the server") { try await place.command("cat read").stdout == "a\n" }
            let missing: JSONValue = .object(["source": .string("/nope"), "target": .string("app")])
            let refused = try await place.server("other", "true", ["overlays": .array([missing])])
            #expect(refused.status == 404)
        }
        try await place.run { place in
            let listed = try await place.authorized(.GET, "/filesystem/overlays").json["overlays"]?.elements
            #expect(listed?.map { $0.members["copy_status"] } == [.string("complete")])
            try await eventually("the server again") { try await place.command("cat read").stdout == "a\na\n" }
        }
    }

    @Test func nothingIsWrittenOrReadThroughALink() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            _ = try await place.command(
                "mkdir -p t/d app outside; echo new > t/d/f; echo f > t/g; ln -s ../outside app/d; echo old > outside/o; ln -s ../outside/o app/g"
            )
            let created = try await Self.create(["strategy": .string("copy")], in: place)
            #expect(created.text("copy_status") == "complete")
            #expect(try await place.command("ls outside; cat outside/o app/g").stdout == "o\nold\nf\n")
        }
    }

    @Test func aTargetInsideItsSourceIsNotCopiedIntoItself() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            _ = try await place.command("mkdir t; echo a > t/a")
            let created = try await Self.create(["target": .string("t/copy"), "strategy": .string("copy")], in: place)
            #expect(created.text("copy_status") == "complete", "\(created.body)")
            #expect(try await place.command("cd t/copy; echo *").stdout == "a\n")
        }
    }

    @Test func badRequestsAreRefusedByField() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            _ = try await place.command("mkdir t; : > file")
            let refused: [([String: JSONValue], Int, String)] = [
                (["source": .string("t")], 400, "source"), (["source": .string("/nope")], 404, "source"),
                (["source": .string(place.home + "/file")], 400, "source"),
                (["source": .string("/proc")], 403, "source"),
                (["target": .string("/x")], 400, "target"), (["target": .string("../x")], 400, "target"),
                (["target": .string("t")], 400, "target"), (["target": .string("file")], 400, "target"),
                (["strategy": .string("link")], 400, "strategy"), (["ignore": .array([.int(1)])], 400, "ignore"),
            ]
            for (fields, status, field) in refused {
                let answer = try await Self.create(fields, in: place)
                #expect(answer.status == status, "\(fields) \(answer.body)")
                #expect(answer.text("field") == field, "\(fields) \(answer.body)")
            }
            #expect(try await place.authorized(.GET, "/filesystem/overlays").body == #"{"overlays":[]}"#)
        }
    }
}
