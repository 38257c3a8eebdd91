import ComputeCore
import NIOHTTP1
import SidekickService
import Testing

struct ChildNameTests {
    @Test(arguments: ["web", "a", "c1", String(repeating: "a", count: 30)])
    func namesThatFitIntoAHostName(text: String) { #expect(ChildName(text)?.rawValue == text) }

    @Test(arguments: ["", "1a", "A", "a-b", "a_b", "é", "a.b", "a/b", String(repeating: "a", count: 31)])
    func othersAreNone(text: String) { #expect(ChildName(text) == nil) }
}

/// `/sandboxes` of the real executable.
struct ChildTests {
    @Test func aChildIsADirectoryThatItsRequestsWorkIn() async throws {
        let place = try SidekickPlace()
        try await place.run { place in
            try await place.claim()
            let socket = try await SidekickSocket.open(place)
            let created = try await place.authorized(.POST, "/sandboxes", body: #"{"name":"web"}"#)
            #expect(created.status == 201, "\(created.body)")
            let subdomain = "\(place.computeID)-web"
            #expect(created.text("subdomain") == subdomain)
            #expect(created.text("directory") == place.home + "/web")
            #expect(created.text("url") == "http://localhost/s/\(place.computeID)/c/web")
            #expect(created.json["is_main"] == .bool(false))
            #expect(try await socket.event("sandbox.created").data["subdomain"] == .string(subdomain))
            await socket.close()

            let written = try await place.send(
                .POST, "/files", body: #"{"path":"f","content":"x"}"#, bearer: place.secret,
                headers: ["X-Compute-Child": "web"])
            #expect(written.status == 201)
            #expect(try await place.command("cat web/f").stdout == "x")
            let run = try await place.send(
                .POST, "/run/command", body: #"{"command":"pwd"}"#, bearer: place.secret,
                headers: ["X-Compute-Child": "web"])
            #expect(CommandAnswer(run).stdout == place.home + "/web\n")
            let unknown = try await place.send(
                .GET, "/files", bearer: place.secret, headers: ["X-Compute-Child": "other"])
            #expect(unknown.status == 404)
            let info = try await place.authorized(.GET, "/info")
            #expect(info.json["data"]?.members["sandbox_count"] == .int(2))
            #expect(info.json["data"]?.members["timeout"] == .int(3_600_000), "as the claim said")
        }
        // Another process over the same directory still knows it.
        try await place.run { place in
            for name in ["web", "\(place.computeID)-web"] {
                #expect(try await place.authorized(.GET, "/sandboxes/\(name)").status == 200)
            }
            let listed = try await place.authorized(.GET, "/sandboxes")
            let all = try #require(listed.json["sandboxes"]?.elements)
            #expect(all.map { $0.members["is_main"] } == [.bool(true), .bool(false)])
            #expect(all.allSatisfy { $0.members["created_at"]?.text != nil })
            let main = try await place.authorized(.DELETE, "/sandboxes/\(place.computeID)")
            #expect(main.status == 400)
            #expect(try await place.authorized(.DELETE, "/sandboxes/web").status == 204)
            #expect(try await place.authorized(.DELETE, "/sandboxes/web").status == 404)
            #expect(try await place.command("cat web/f").stdout == "x")
            #expect(try await place.authorized(.POST, "/sandboxes", body: #"{"name":"web"}"#).status == 201)
            #expect(try await place.authorized(.DELETE, "/sandboxes/web?delete_files=true").status == 204)
            #expect(try await place.command("test ! -e web").exitCode == 0)
        }
    }

    @Test func aChildIsMadeWithItsOverlays() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            _ = try await place.command("mkdir t; echo a > t/a")
            let created = try await place.authorized(
                .POST, "/sandboxes",
                body: #"{"directory":"apps/one","overlays":[{"source":"\#(place.home)/t","target":"."}]}"#)
            #expect(created.status == 201, "\(created.body)")
            #expect(try await place.command("cat apps/one/a").stdout == "a\n")
        }
    }

    @Test func whoseFilesAreDeletedLosesItsServersAndNobodyElse() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let server = #"{"slug":"%","start":"sleep 600"}"#
            let body = #"{"name":"web","servers":[\#(server.replacing("%", with: "inside"))]}"#
            #expect(try await place.authorized(.POST, "/sandboxes", body: body).status == 201)
            try await place.server("outside", "sleep 600")
            let inside = try #require(try await place.server("inside", becomes: "running").number("pid"))
            let deleted = try await place.authorized(.DELETE, "/sandboxes/web?delete_files=true")
            #expect(deleted.status == 204, "\(deleted.body)")
            #expect(ProcessState(of: Int32(inside)) == nil)
            #expect(try await place.server("inside").status == 404)
            #expect(try await place.server("outside").text("status") == "running")
            #expect(try await place.command("ls web").exitCode == 2)
        }
    }

    @Test func badRequestsAreRefusedByField() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            // No body is a name made up.
            #expect(try await place.authorized(.POST, "/sandboxes").status == 201)
            #expect(try await place.authorized(.POST, "/sandboxes", body: #"{"name":"a"}"#).status == 201)
            for (body, status, field) in [
                (#"{"name":"A"}"#, 400, "name"), (#"{"name":"a"}"#, 409, "name"),
                (#"{"directory":"/etc"}"#, 400, "directory"), (#"{"directory":"."}"#, 400, "directory"),
                (#"{"directory":"../x"}"#, 400, "directory"), (#"{"overlays":[1]}"#, 400, "overlays[0]"),
                (#"{"overlays":[{}]}"#, 400, "overlays[0].source"), (#"{"servers":{}}"#, 400, "servers"),
            ] {
                let answer = try await place.authorized(.POST, "/sandboxes", body: body)
                #expect(answer.status == status, "\(body) \(answer.body)")
                #expect(answer.text("field") == field, "\(body) \(answer.body)")
            }
        }
    }
}
