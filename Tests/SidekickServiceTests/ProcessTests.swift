import ComputeCore
import Glibc
import NIOHTTP1
import Testing

/// `/processes`, `/stats` and `/metrics` of the real executable.
struct ProcessTests {
    private static func claimed(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await body(place)
        }
    }

    @Test func processesAreListedWithWhatTheyUse() async throws {
        try await Self.claimed { place in
            #expect(try await place.command("sleep 601 >/dev/null 2>&1 & echo $! > pid").exitCode == 0)
            let pid = try await place.numberWritten(to: "pid")
            let process = ServerAnswer(try await place.authorized(.GET, "/processes/\(pid)"))
            #expect(process.status == 200, "\(process.body)")
            #expect(process.text("command") == "sleep 601" && process.number("pid") == Int64(pid))
            #expect(process.number("threads") == 1 && (process.number("rss_bytes") ?? 0) > 0)
            #expect(process.number("uid") == Int64(getuid()))
            let started = try #require(process.text("started_at").flatMap { WallTime(rfc3339: $0) })
            #expect(abs((SystemWallClock().now() - started).wholeMilliseconds) < 120_000)
            // Nothing but what the compute runs.
            let list = try await place.authorized(.GET, "/processes")
            #expect(list.body.contains("\"pid\":\(pid)") && !list.body.contains("\"pid\":\(getpid()),"))
        }
    }

    @Test func signalsReachWhatRunsInTheComputeAndNothingElse() async throws {
        try await Self.claimed { place in
            func signal(_ pid: Int32, _ body: String = "{}") async throws -> ServerAnswer {
                ServerAnswer(try await place.authorized(.POST, "/processes/\(pid)/signal", body: body))
            }
            let sidekick = try await place.sidekickPID()
            for pid in [sidekick, getpid(), 1, .max] { #expect(try await signal(pid).status == 404, "\(pid)") }
            #expect(try await place.command("sleep 602 >/dev/null 2>&1 & echo $! > one").exitCode == 0)
            let one = try await place.numberWritten(to: "one")
            #expect(try await signal(one, #"{"signal":"BANANA"}"#).body.contains(#""field":"signal""#))
            #expect(try await signal(one, #"{"group":3}"#).body.contains(#""field":"group""#))
            let sent = try await signal(one, #"{"signal":"KILL"}"#)
            #expect(sent.status == 200 && sent.number("signalled") == 1, "\(sent.body)")
            try await eventually("it has gone") { kill(one, 0) != 0 }
            #expect(try await signal(one).status == 404)
            #expect(try await place.authorized(.POST, "/processes/x/signal").status == 400)

            #expect(
                try await place.command("(sleep 603 & sleep 604 & echo $$ > two; wait) >/dev/null 2>&1 &").exitCode == 0
            )
            let two = try await place.numberWritten(to: "two")
            try await eventually("both are there") {
                let list = try await place.authorized(.GET, "/processes").body
                return list.contains("sleep 603") && list.contains("sleep 604")
            }
            let member = try #require(try ProcessState.children(of: sidekick).keys.first)
            let group = try await signal(member, #"{"signal":9,"group":true}"#)
            #expect(group.number("signalled") == 3, "\(group.body), \(two)")
            try await eventually("all have gone") { try ProcessState.children(of: sidekick).isEmpty }
        }
    }

    @Test func statsSayWhatTheComputeUses() async throws {
        try await Self.claimed { place in
            let before = ServerAnswer(try await place.authorized(.GET, "/stats"))
            #expect(before.status == 200, "\(before.body)")
            func number(_ answer: ServerAnswer, _ group: String, _ name: String) -> Double? {
                switch answer.data[group]?.members[name] {
                case .int(let number)?: Double(number)
                case .double(let number)?: number
                default: nil
                }
            }
            #expect((number(before, "memory", "limit_bytes") ?? 0) > 0)
            #expect((number(before, "disk", "size_bytes") ?? 0) >= (number(before, "disk", "used_bytes") ?? .infinity))
            #expect(
                try await place.command("i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done").exitCode == 0)
            let after = ServerAnswer(try await place.authorized(.GET, "/stats"))
            let used = (number(after, "cpu", "seconds") ?? 0) - (number(before, "cpu", "seconds") ?? 0)
            #expect(used > 0.02, "the processes that have ended count as well: \(after.body)")
        }
    }

    @Test func metricsAreForThePlatformAlone() async throws {
        try await Self.claimed { place in
            try await place.server("web", "sleep 600")
            #expect(try await place.authorized(.GET, "/metrics").status == 404)
            let answer = try await place.send(.GET, "/metrics", to: place.internalListen)
            #expect(answer.status == 200 && answer.headers.first(name: "Content-Type")?.hasPrefix("text/plain") == true)
            let lines = answer.body.split(separator: "\n")
            for line in [
                "computesdk_sidekick_servers{status=\"running\"} 1", "computesdk_sidekick_terminals 0",
                "computesdk_sidekick_http_requests_total{class=\"4xx\"} 1",
                "computesdk_sidekick_dropped_output_bytes_total 0", "# TYPE computesdk_sidekick_open_sockets gauge",
            ] { #expect(lines.contains { $0 == line }, "\(line) in \(answer.body)") }
            #expect(!answer.body.contains("web"), "no names of users")
        }
    }

    @Test func metricsCountTheCommandsThatRunHoweverTheyWereStarted() async throws {
        try await Self.claimed { place in
            #expect(try await place.metric("running_commands") == 0)
            let background = try await place.begin("sleep 605")
            let terminal = try await place.execTerminal()
            let inTerminal = try await place.begin("sleep 606", in: terminal)
            #expect(try await place.metric("running_commands") == 2)
            for command in [background, inTerminal] {
                #expect(try await command.delete() == 204)
            }
            try await eventually("both have ended") { try await place.metric("running_commands") == 0 }
        }
    }

    @Test func aClientThatHangsUpIsNoFailureOfTheSidekick() async throws {
        try await Self.claimed { place in
            let body = Array(SidekickPlace.body("sleep 607", ["shell": .string("/bin/sh")]).utf8)
            for _ in 0..<3 {
                try await place.breakOff(.POST, "/run/command", body: body, of: body.count) {
                    try await eventually("it runs") { try await place.metric("running_commands") == 1 }
                }
                try await eventually("it has ended") { try await place.metric("running_commands") == 0 }
            }
            #expect(try await place.metric("http_requests_total{class=\"5xx\"}") == 0)
            #expect(try await place.authorized(.GET, "/nowhere").status == 404)
            #expect(try await place.metric("http_requests_total{class=\"4xx\"}") == 1)
        }
    }
}

extension SidekickPlace {
    /// A figure of the internal listener, by its name without the prefix, with its labels.
    func metric(_ name: String) async throws -> Int? {
        let answer = try await send(.GET, "/metrics", to: internalListen)
        let prefix = "computesdk_sidekick_\(name) "
        return answer.body.split(separator: "\n").first { $0.hasPrefix(prefix) }.flatMap {
            Int($0.dropFirst(prefix.count))
        }
    }
}
