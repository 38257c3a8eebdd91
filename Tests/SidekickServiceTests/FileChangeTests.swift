import ComputeCore
import Glibc
import NIOHTTP1
import Testing

struct FileChangeTests {
    private static func started(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await body(place)
            #expect(place.errors == [])
        }
    }

    @Test func directoriesAreMadeWithTheirModeAndParents() async throws {
        try await Self.started { place in
            let made = try await place.authorized(.POST, "/files/mkdir", body: #"{"path":"a/b/c","mode":"2770"}"#)
            #expect(made.status == 201, "\(made.body)")
            #expect(try await place.command("stat -c %a a/b/c").stdout == "2770\n")
            #expect(try await place.authorized(.POST, "/files/mkdir", body: #"{"path":"a/b/c"}"#).status == 201)
            let strict = { (path: String) in
                try await place.authorized(.POST, "/files/mkdir", body: #"{"path":"\#(path)","parents":false}"#)
            }
            #expect(try await strict("a/b/c").status == 409)
            #expect(try await strict("x/y").status == 404)
            #expect(try await strict("a/d").status == 201)
            #expect(try await place.command("echo x > file").exitCode == 0)
            #expect(try await place.authorized(.POST, "/files/mkdir", body: #"{"path":"file"}"#).status == 409)
            #expect(try await place.authorized(.POST, "/files/mkdir", body: #"{"path":"file/x"}"#).status == 400)
        }
    }

    @Test func movingRenamesAndReplacesOnlyWhenTold() async throws {
        try await Self.started { place in
            #expect(try await place.command("mkdir -p d/sub; echo 1 > a; echo 2 > b; ln -s a l").exitCode == 0)
            let move = { (from: String, to: String, extra: String) in
                try await place.authorized(.POST, "/files/move", body: #"{"from":"\#(from)","to":"\#(to)"\#(extra)}"#)
            }
            let refused = try await move("a", "b", "")
            #expect(refused.status == 409 && refused.text("field") == "to", "\(refused.body)")
            #expect(try await move("a", "b", #","overwrite":true"#).status == 200)
            #expect(try await move("b", "new/dir/c", "").status == 200)
            #expect(try await move("l", "l2", "").status == 200)
            #expect(try await place.command("cat new/dir/c; readlink l2; ls").stdout == "1\na\nd\nl2\nnew\n")
            let missing = try await move("nothing", "x", "")
            #expect(missing.status == 404 && missing.text("field") == "from")
            let inside = try await move("d", "d/sub/d", "")
            #expect(inside.status == 400 && inside.text("field") == "to", "\(inside.body)")
            #expect(try await move("d", "new", #","overwrite":true"#).status == 409)
            #expect(try await move("../x", "y", "").text("field") == "from")
        }
    }

    @Test func copiesKeepModesAndLinksAndSayWhatWasDone() async throws {
        try await Self.started { place in
            let made = "mkdir -p d/e; echo 1 > d/f; chmod 751 d/f; ln -s /etc/passwd d/e/l; chmod 700 d/e; mkfifo d/p"
            #expect(try await place.command(made).exitCode == 0)
            let copy = { (from: String, to: String, extra: String) in
                try await place.authorized(.POST, "/files/copy", body: #"{"from":"\#(from)","to":"\#(to)"\#(extra)}"#)
            }
            #expect(try await copy("d", "c", "").text("field") == "recursive")
            let copied = try await copy("d", "c", #","recursive":true"#)
            #expect(copied.status == 200, "\(copied.body)")
            #expect(copied.json["data"]?.members["entries"] == .int(4))
            let seen = try await place.command("cd c; stat -c '%a %n' f e; readlink e/l; ls")
            #expect(seen.stdout == "751 f\n700 e\n/etc/passwd\ne\nf\n", "\(seen)")
            #expect(try await copy("d", "c", #","recursive":true"#).status == 409)
            #expect(try await copy("d", "c", #","recursive":true,"overwrite":true"#).status == 200)
            // Into itself: it ends, and once.
            #expect(try await copy("d", "d/copy", #","recursive":true"#).status == 200)
            #expect(try await place.command("ls d/copy").stdout == "e\nf\n")
            #expect(try await copy("d/f", "g", "").status == 200)
            #expect(try await copy("d/f", "g", "").status == 409)
            #expect(try await copy("g", "g", #","overwrite":true"#).status == 400)
            #expect(try await place.command("stat -c %a g; cat g").stdout == "751\n1\n")
        }
    }

    @Test func modesChangeForOneAndForAll() async throws {
        try await Self.started { place in
            #expect(
                try await place.command("mkdir -p d/e; touch d/f d/e/g out; chmod 644 out; ln -s ../out d/l").exitCode
                    == 0)
            let chmod = { (fields: String) in try await place.authorized(.POST, "/files/chmod", body: fields) }
            #expect(try await chmod(#"{"path":"d/f","mode":"4755"}"#).status == 200)
            #expect(try await place.command("stat -c %a d/f").stdout == "4755\n")
            let all = try await chmod(#"{"path":"d","mode":"700","recursive":true}"#)
            #expect(all.json["data"]?.members["changed"] == .int(4), "\(all.body)")
            #expect(try await place.command("stat -c %a d d/e d/e/g d/f out").stdout == "700\n700\n700\n700\n644\n")
            for (fields, field) in [
                (#"{"path":"d"}"#, "mode"), (#"{"path":"d","mode":"8"}"#, "mode"),
                (#"{"path":"d","mode":"u+x"}"#, "mode"),
                (#"{"path":"d","mode":644}"#, "mode"), (#"{"path":"no","mode":"644"}"#, "path"),
            ] { #expect(try await chmod(fields).text("field") == field, "\(fields)") }
        }
    }

    @Test func linksAreMadeAndToldApartFromWhatTheyLeadTo() async throws {
        try await Self.started { place in
            let link = { (fields: String) in try await place.authorized(.POST, "/files/symlink", body: fields) }
            #expect(try await place.command("printf 12345 > f").exitCode == 0)
            #expect(try await link(#"{"path":"d/l","target":"../f"}"#).status == 201)
            #expect(try await link(#"{"path":"d/l","target":"nowhere"}"#).status == 409)
            let followed = try await place.authorized(.GET, "/files/d/l").json["data"]?.members["file"]?.members
            #expect(followed?["size"] == .int(5) && followed?["is_symlink"] == .bool(true))
            #expect(followed?["target"] == .string("../f"))
            let itself = try await place.authorized(.GET, "/files/d/l?follow=false").json["data"]?.members["file"]?
                .members
            #expect(itself?["size"] == .int(4) && itself?["mode"] == .string("0777"))
            #expect(try await link(#"{"path":"d/l","target":"nowhere","overwrite":true}"#).status == 201)
            #expect(try await place.authorized(.GET, "/files/d/l").status == 404)
            #expect(try await place.authorized(.GET, "/files/d/l?follow=false").status == 200)
            #expect(try await place.authorized(.GET, "/files?path=d").body.contains(#""target":"nowhere""#))
            for (fields, field) in [
                (#"{"path":"x"}"#, "target"), (#"{"path":"x","target":""}"#, "target"),
                (#"{"path":"x","target":"a\u0000b"}"#, "target"), (#"{"target":"x"}"#, "path"),
            ] { #expect(try await link(fields).text("field") == field, "\(fields)") }
        }
    }

    /// /dev/shm is another file system than /tmp on most machines; where it is not, this moves by a rename.
    @Test func movingBetweenFileSystemsCopiesAndThenRemoves() async throws {
        try await Self.started { place in
            let elsewhere = "/dev/shm/\(place.member.rawValue)"
            #expect(mkdir(elsewhere, 0o700) == 0)
            #expect(try await place.command("mkdir -p d/e; echo 1 > d/e/f; ln -s e/f d/l; echo 2 > g").exitCode == 0)
            for (from, to) in [("d", "\(elsewhere)/d"), ("g", "\(elsewhere)/g")] {
                let answer = try await place.authorized(
                    .POST, "/files/move", body: #"{"from":"\#(from)","to":"\#(to)"}"#)
                #expect(answer.status == 200, "\(answer.body)")
            }
            let seen = try await place.command(
                "ls; cd \(elsewhere); cat d/e/f g; readlink d/l; ls -A; rm -r \(elsewhere)")
            #expect(seen.stdout == "1\n2\ne/f\nd\ng\n", "\(seen)")
        }
    }
}
