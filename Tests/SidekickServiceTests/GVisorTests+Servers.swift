import ComputeCore
import NIOHTTP1
import Testing

/// Servers and processes as gVisor's kernel shows them, with the user as another account.
extension GVisorTests {
    @Test func serversAreFoundByTheirPortsAndAskedHowTheyAre() async throws {
        try await sidekick(user: .unprivileged()) { place in
            try await place.writeServer()
            let port = Int64(try SidekickPlace.freePort())
            let check: JSONValue = .object(["delay_ms": .int(0), "interval_ms": .int(200)])
            // Elsewhere than it was told, so only its sockets can say where.
            let created = try await place.server(
                "web", "PORT=\(port) perl serve; exit 7", ["port": .int(1), "health_check": check])
            #expect(created.status == 201, "\(created.body)")
            let ready = try await place.server("web", becomes: "ready")
            #expect(ready.number("port") == port && ready.bool("healthy") == true, "\(ready.body)")
            let ports = try await place.authorized(.GET, "/ports").body
            #expect(ports.contains("\"port\":\(port)") && ports.contains("\"process\":\"perl serve\""), "\(ports)")
            // Nothing of the Sidekick's own.
            if case .tcp(_, let own) = place.listen { #expect(!ports.contains("\"port\":\(own)")) }

            let list = try await place.authorized(.GET, "/processes").body
            #expect(list.contains("[\(port)]") && list.contains("\"user\":\"nobody\""), "\(list)")
            let pid = try #require(ready.number("pid"))
            #expect(try await place.authorized(.POST, "/processes/1/signal").status == 404)
            let sent = try await place.authorized(
                .POST, "/processes/\(pid)/signal", body: #"{"signal":"KILL","group":true}"#)
            #expect(sent.status == 200, "\(sent.body)")
            let failed = try await place.server("web", becomes: "failed")
            #expect(failed.number("exit_code") == 137)
            #expect(try await place.authorized(.GET, "/ports").body.contains("\"ports\":[]"))
            let stats = ServerAnswer(try await place.authorized(.GET, "/stats"))
            #expect(stats.status == 200 && stats.data["memory"]?.members["used_bytes"] != nil, "\(stats.body)")
        }
    }

    @Test func aStopInsideASandboxLeavesNothing() async throws {
        try await sidekick(user: .unprivileged()) { place in
            try await place.server("deep", "(sleep 600 & sleep 601 & wait) & wait")
            try await eventually("all of it runs") {
                try await place.authorized(.GET, "/processes").body.contains("sleep 601")
            }
            #expect(try await place.act("stop", "deep").status == 200)
            #expect(try await place.authorized(.GET, "/processes").body.contains("\"processes\":[]"))
        }
    }
}
