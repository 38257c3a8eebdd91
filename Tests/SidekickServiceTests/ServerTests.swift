import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Subprocess
import Testing

/// Supervised servers of the real executable (contract §1.10), with ports and signals (§1.9).
struct ServerTests {
    private static func claimed(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim(portURLTemplate: "http://c-{port}.test")
            try await place.writeServer()
            try await body(place)
        }
    }

    private static func subscribed(_ place: SidekickPlace) async throws -> SidekickSocket {
        let socket = try await SidekickSocket.open(place)
        try await socket.send("subscribe", channel: "signals")
        try await socket.send("marker")
        try await socket.event("error")
        return socket
    }

    @Test func aServerIsToldItsPortAndEverybodyThatItListens() async throws {
        try await Self.claimed { place in
            let port = try SidekickPlace.freePort()
            #expect(ServerAnswer(try await place.authorized(.POST, "/signals/start")).text("status") == "active")
            let socket = try await Self.subscribed(place)
            let created = try await place.server("web", "exec perl serve", ["port": .int(Int64(port))])
            #expect(created.status == 201, "\(created.body)")
            #expect(created.text("slug") == "web" && created.data["server"]?.members["slug"]?.text == "web")
            #expect(created.text("command") == "exec perl serve" && created.number("restart_delay") == 1_000_000_000)
            #expect(created.text("path") == place.home)

            let ready = try await socket.event("signal") { $0.data["signal"] == .string("server-ready") }
            #expect(ready.channel == "signals" && ready.data["port"] == .int(Int64(port)))
            #expect(ready.data["url"] == .string("http://c-\(port).test"))
            let server = try await place.server("web", becomes: "ready")
            #expect(server.number("port") == Int64(port) && server.text("url") == "http://c-\(port).test")
            let pid = try #require(server.number("pid"))
            let document = try await place.send(.GET, "/ready").json
            #expect(document["ready"] == .bool(true))
            guard case .array(let servers)? = document["servers"] else {
                Issue.record("\(document)")
                return
            }
            #expect(servers.first?.members["port"] == .int(Int64(port)))

            let ports = try await place.authorized(.GET, "/ports").body
            #expect(ports.contains("\"port\":\(port)") && ports.contains("\"pid\":\(pid)"), "\(ports)")
            try await eventually("its words") {
                let logs = try await place.logs("web").text("logs") ?? ""
                return logs.contains("listening on \(port)\n") && logs.contains("warned\n")
            }
            #expect(try await place.logs("web", "?stream=stderr").text("logs") == "warned\n")
            #expect(try await place.logs("web", "?stream=nope").status == 400)

            let restarted = try await place.act("restart", "web")
            #expect(["starting", "running", "ready"].contains(restarted.text("status")), "\(restarted.body)")
            let again = try await place.server("web", becomes: "ready")
            #expect(again.number("pid") != pid && again.number("port") == Int64(port))
            #expect(try await place.logs("web", "?stream=stdout&tail=1").text("logs") == "listening on \(port)\n")

            let stopped = try await place.act("stop", "web")
            #expect(stopped.status == 200 && stopped.text("slug") == "web", "\(stopped.body)")
            #expect(try await place.server("web").text("status") == "stopped")
            _ = try await socket.event("signal") { $0.data["type"] == .string("close") }
            await socket.close()
            #expect(try await place.send(.GET, "/ready").json["ready"] == .bool(false))

            let deleted = ServerAnswer(try await place.authorized(.DELETE, "/servers/web"))
            #expect(deleted.status == 200 && deleted.text("slug") == "web")
            #expect(try await place.server("web").status == 404)
            #expect(try await place.send(.GET, "/ready").json["ready"] == .bool(true))
            #expect(place.errors == [])
        }
    }

    @Test func aPortThatIsTakenIsRefusedOrTheNextOneUsed() async throws {
        try await Self.claimed { place in
            let port = Int64(try SidekickPlace.freePort())
            try await place.server("first", "exec perl serve", ["port": .int(port)])
            try await place.server("first", becomes: "ready")
            let strict = try await place.server(
                "strict", "exec perl serve", ["port": .int(port), "strict_port": .bool(true)])
            #expect(strict.status == 409 && strict.body.contains(#""field":"port""#), "\(strict.body)")
            #expect(try await place.server("strict").status == 404)
            try await place.server("second", "exec perl serve", ["port": .int(port)])
            let second = try await place.server("second", becomes: "ready")
            #expect((second.number("port") ?? 0) > port)
            let twice = try await place.server("first", "exec perl serve")
            #expect(twice.status == 409 && twice.body.contains(#""field":"slug""#))
        }
    }

    @Test func serversThatStartTogetherAreToldDifferentPorts() async throws {
        try await Self.claimed { place in
            try await withThrowingTaskGroup { group in
                for index in 0..<12 {
                    group.addTask { try await place.server("s\(index)", "echo $PORT; exec sleep 600") }
                }
                try await group.waitForAll()
            }
            var ports: Set<String> = []
            for index in 0..<12 {
                try await eventually("its port") { try await place.logs("s\(index)").text("logs")?.isEmpty == false }
                ports.insert(try await place.logs("s\(index)").text("logs") ?? "")
            }
            #expect(ports.count == 12, "\(ports)")
        }
    }

    @Test func aServerThatListensElsewhereIsFoundThere() async throws {
        try await Self.claimed { place in
            let told = Int64(try SidekickPlace.freePort())
            let taken = Int64(try SidekickPlace.freePort())
            // In a child of the shell, as package managers start them.
            try await place.server("web", "PORT=\(taken) perl serve; exit 7", ["port": .int(told)])
            let server = try await place.server("web", becomes: "ready")
            #expect(server.number("port") == taken && server.text("url") == "http://c-\(taken).test")
            let processes = try await place.authorized(.GET, "/processes").body
            #expect(processes.contains("perl serve") && processes.contains("[\(taken)]"), "\(processes)")
            #expect(ServerAnswer(try await place.authorized(.DELETE, "/servers/web")).status == 200)
            #expect(try await !place.authorized(.GET, "/processes").body.contains("perl serve"))
        }
    }

    @Test func failuresAreRestartedAsOftenAsTheyMayBe() async throws {
        try await Self.claimed { place in
            try await place.server(
                "bad", "echo try; exit 3",
                ["restart_policy": .string("on-failure"), "max_restarts": .int(2), "restart_delay_ms": .int(0)])
            let failed = try await place.server("bad", becomes: "failed")
            #expect(failed.number("restart_count") == 2 && failed.number("exit_code") == 3, "\(failed.body)")
            #expect(try await place.logs("bad").text("logs") == "try\ntry\ntry\n")
            try await place.server("done", "exit 0", ["restart_policy": .string("on-failure")])
            #expect(try await place.server("done", becomes: "stopped").number("exit_code") == 0)
            // The process is gone, and the name can be used again.
            #expect(try await place.server("done", "sleep 600").status == 201)
            #expect(try await place.server("done").text("status") == "running")
        }
    }

    @Test func aStopLetsChildrenFinishAndKillsWhoDoesNotListen() async throws {
        try await Self.claimed { place in
            // The shell dies of the signal at once; what it started needs a moment.
            try await place.server(
                "polite",
                "(trap 'sleep 0.3; echo 1 > late; exit 0' TERM; echo 1 > up; while :; do sleep 0.05; done) & wait")
            _ = try await place.numberWritten(to: "up")
            #expect(try await place.act("stop", "polite").status == 200)
            #expect(FileManager.default.fileExists(atPath: place.home + "/late"))
            #expect(try await place.server("polite").text("status") == "stopped")

            try await place.server(
                "deaf", "trap '' TERM; echo $$ > deaf; while :; do sleep 0.05; done", ["stop_timeout_ms": .int(200)])
            let pid = try await place.numberWritten(to: "deaf")
            #expect(try await place.act("stop", "deaf").status == 200)
            let deaf = try await place.server("deaf")
            #expect(deaf.text("status") == "stopped" && deaf.number("exit_code") == 137)
            #expect(kill(pid, 0) == -1 && errno == ESRCH)
        }
    }

    @Test func aServerWaitsForThoseItDependsOn() async throws {
        try await Self.claimed { place in
            let port = Int64(try SidekickPlace.freePort())
            try await place.server(
                "db", "while [ ! -e go ]; do sleep 0.02; done; exec perl serve", ["port": .int(port)])
            let waiting = try await place.server("app", "echo up; sleep 600", ["depends_on": .array([.string("db")])])
            #expect(waiting.status == 201 && waiting.text("status") == "starting" && waiting.number("pid") == nil)
            #expect(try await place.command("touch go").exitCode == 0)
            try await place.server("app", becomes: "running")
            #expect(try await place.server("db").text("status") == "ready")

            let unknown = try await place.server("x", "true", ["depends_on": .array([.string("nope")])])
            #expect(unknown.status == 400 && unknown.body.contains(#""field":"depends_on""#))
            _ = try await place.act("stop", "db")
            let circle = try await place.server("db", "true", ["depends_on": .array([.string("app")])])
            #expect(circle.status == 400 && circle.body.contains("db → app → db"), "\(circle.body)")
            let overlay = try await place.server("x", "true", ["overlay": .object(["source": .string("/a")])])
            #expect(overlay.status == 400 && overlay.body.contains(#""field":"overlay.target""#))
            let missing = try await place.server(
                "x", "true", ["overlays": .array([.object(["source": .string("/nowhere"), "target": .string("x")])])])
            #expect((400..<500).contains(missing.status) && missing.body.contains(#""field":"overlays[0].source""#))
        }
    }

    @Test func environmentInstallAndDirectoryAreAsAskedFor() async throws {
        try await Self.claimed { place in
            #expect(try await place.command("mkdir app; echo 'A=file\nB=file' > app/.env").exitCode == 0)
            let port = Int64(try SidekickPlace.freePort())
            let created = try await place.server(
                "web", "cat installed; echo $A $B $PORT $GREETING; pwd; sleep 600",
                [
                    "install": .string("echo x >> installed"), "path": .string("app"), "env_file": .string(".env"),
                    "environment": .object(["B": .string("own")]), "port": .int(port),
                ])
            #expect(created.status == 201 && created.text("original_path") == "app", "\(created.body)")
            let expected = "x\nfile own \(port) hello\n\(place.home)/app\n"
            try await eventually("its words") { try await place.logs("web").text("logs") == expected }
            _ = try await place.act("restart", "web")
            try await eventually("its words twice") {
                try await place.logs("web").text("logs") == expected + expected
            }
            for (fields, field) in [(["path": "nowhere"], "path"), (["env_file": "nowhere"], "env_file")] {
                let refused = try await place.server("y", "true", fields.mapValues(JSONValue.string))
                #expect(refused.status == 400 && refused.body.contains("\"field\":\"\(field)\""), "\(refused.body)")
            }
            let failing = try await place.server("z", "echo never", ["install": .string("exit 4")])
            #expect(failing.status == 201)
            #expect(try await place.server("z", becomes: "failed").number("exit_code") == 4)
            #expect(try await place.logs("z").text("logs") == "")
        }
    }

    @Test func healthIsWhatTheServerAnswers() async throws {
        try await Self.claimed { place in
            #expect(try await place.command("touch sick").exitCode == 0)
            let port = Int64(try SidekickPlace.freePort())
            let check: JSONValue = .object([
                "path": .string("/health?x=1"), "delay_ms": .int(0), "interval_ms": .int(100),
            ])
            try await place.server("web", "exec perl serve", ["port": .int(port), "health_check": check])
            try await eventually("it is unhealthy") { try await place.server("web").bool("healthy") == false }
            let sick = try await place.server("web")
            #expect(sick.text("status") == "running")
            try await eventually("it says why") {
                try await place.server("web").data["health_status"]?.members["last_status"] == .int(503)
            }
            #expect(try await place.send(.GET, "/ready").json["healthy"] == .bool(false))
            #expect(try await place.command("rm sick").exitCode == 0)
            let well = try await place.server("web", becomes: "ready")
            #expect(well.bool("healthy") == true)
        }
    }

    @Test func serversOutliveAKillOfTheSidekickIfTheyAreToStartByThemselves() async throws {
        let place = try SidekickPlace()
        try await place.run(ending: .kill) { place in
            try await place.claim()
            try await place.server(
                "auto", "echo $SECRET; sleep 600", ["environment": .object(["SECRET": .string("s")])])
            try await place.server("manual", "sleep 600", ["autostart": .bool(false)])
            try await place.server("gone", "sleep 600")
            #expect(ServerAnswer(try await place.authorized(.DELETE, "/servers/gone")).status == 200)
        }
        var info = stat()
        #expect(stat(place.path + "/state/servers.json", &info) == 0)
        #expect(info.st_mode & 0o777 == 0o600)
        try await place.run { place in
            try await place.server("auto", becomes: "running")
            try await eventually("its words") { try await place.logs("auto").text("logs") == "s\n" }
            #expect(try await place.server("manual").text("status") == "stopped")
            #expect(try await place.server("gone").status == 404)
            #expect(place.errors == [])
        }
    }

    @Test func theirStatusCanBeSaidAndSet() async throws {
        try await Self.claimed { place in
            func patch(_ status: String) async throws -> ServerAnswer {
                ServerAnswer(
                    try await place.authorized(.PATCH, "/servers/web/status", body: "{\"status\":\"\(status)\"}"))
            }
            try await place.server("web", "sleep 600")
            #expect(try await place.send(.GET, "/ready").json["ready"] == .bool(false))
            #expect(try await patch("ready").text("status") == "ready")
            #expect(try await place.send(.GET, "/ready").json["ready"] == .bool(true))
            #expect(try await patch("stopped").text("status") == "stopped")
            #expect(try await patch("ready").status == 409)
            #expect(try await patch("running").text("status") == "running")
            #expect(try await patch("nonsense").status == 400)
            #expect(try await patch("installing").status == 400)
            for target in ["/servers/nope", "/servers/nope/logs"] {
                #expect(try await place.authorized(.GET, target).status == 404)
            }
            #expect(try await place.act("restart", "nope").status == 404)
        }
    }

    /// The old one, started in between, would be nobody's.
    @Test func aServerThatIsCreatedAgainLeavesNothingOfTheOldOne() async throws {
        try await Self.claimed { place in
            for round in 0..<8 {
                try await place.server("web", "exec sleep 4711")
                #expect(try await place.act("stop", "web").status == 200)
                let racer = Task {
                    for _ in 0..<5 {
                        _ = try await place.authorized(
                            .PATCH, "/servers/web/status", body: #"{"status":"running"}"#)
                    }
                }
                let again = try await place.server("web", "exec sleep 4712")
                #expect([201, 409].contains(again.status), "\(again.body)")
                _ = await racer.result
                #expect(ServerAnswer(try await place.authorized(.DELETE, "/servers/web")).status == 200)
                let processes = try await place.authorized(.GET, "/processes").body
                #expect(!processes.contains("sleep 471"), "round \(round): \(processes)")
            }
            #expect(place.errors == [])
        }
    }

    @Test func signalsAreToldWhileTheyAreOn() async throws {
        try await Self.claimed { place in
            let socket = try await Self.subscribed(place)
            func emit(_ target: String, _ body: String? = nil) async throws -> ServerAnswer {
                ServerAnswer(try await place.authorized(.POST, "/signals/\(target)", body: body))
            }
            // Stopped: taken, and told to nobody.
            #expect(try await emit("error", #"{"message":"unheard"}"#).status == 200)
            #expect(try await emit("start").text("channel") == "signals")
            #expect(ServerAnswer(try await place.authorized(.GET, "/signals/status")).text("status") == "active")
            let error = try await emit("error", #"{"message":"heard"}"#)
            #expect(error.text("message") == "heard")
            let first = try await socket.event("signal")
            #expect(first.data["message"] == .string("heard"))
            let opened = try await emit("port", #"{"port":3000,"type":"open","url":"http://x"}"#)
            #expect(opened.number("port") == 3000 && opened.text("type") == "open" && opened.text("url") == "http://x")
            let second = try await socket.event("signal")
            #expect(second.data["signal"] == .string("port") && second.data["url"] == .string("http://x"))
            #expect(try await emit("port/3000/close").text("url") == "http://c-3000.test")
            let third = try await socket.event("signal")
            #expect(third.data["type"] == .string("close") && third.data["port"] == .int(3000))
            _ = try await emit("server-ready", #"{"port":3000,"url":"http://y"}"#)
            let fourth = try await socket.event("signal")
            #expect(fourth.data["signal"] == .string("server-ready") && fourth.data["url"] == .string("http://y"))
            #expect(try await emit("stop").text("status") == "stopped")
            for (target, body) in [
                ("port", #"{"port":0,"type":"open"}"#), ("port", #"{"port":1,"type":"ajar"}"#), ("port/x/open", nil),
                ("port/1/ajar", nil), ("error", "{}"), ("server-ready", "{}"),
            ] { #expect(try await emit(target, body).status == 400, "\(target)") }
            await socket.close()
        }
    }
}
