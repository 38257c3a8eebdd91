import ComputeCore
import FoundationEssentials
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing

/// Commands that outlive their request, over REST (contract §1.5, §1.6).
struct BackgroundCommandTests {
    @Test func aBackgroundCommandAnswersAtOnceAndItsPairWorksWithTheCommandRoutes() async throws {
        try await SidekickPlace.claimed { place in
            let command = try await place.begin(
                "echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done; echo out; exit 5")
            #expect(command.data["status"]?.text == "running")
            #expect(command.data["stdout"]?.text == "")
            #expect(command.data["stderr"]?.text == "")
            #expect(command.data["exit_code"] == nil)
            _ = try await place.numberWritten(to: "pid")
            let running = try await command.get()
            #expect(running.state == "running")
            #expect(running.data["started_at"]?.text.flatMap(WallTime.init(rfc3339:)) != nil)
            #expect(running.data["finished_at"] == nil && running.exitCode == nil)
            #expect(FileManager.default.createFile(atPath: place.home + "/go", contents: nil))
            let ended = try await command.wait()
            #expect(ended.status == 200)
            #expect(ended.state == "failed")
            #expect(ended.exitCode == 5)
            #expect(ended.stdout == "out\n")
            #expect(ended.data["finished_at"]?.text.flatMap(WallTime.init(rfc3339:)) != nil)
            guard case .int(0..<60_000)? = ended.data["duration_ms"] else {
                Issue.record("\(ended)")
                return
            }
            let list = try await place.authorized(.GET, "/terminals/\(command.terminal)/commands")
            #expect(list.json["data"]?.members["count"] == .int(1))
            #expect(try await place.authorized(.GET, "/terminals/\(command.terminal)").status == 200)
            // It was made for this command alone, so nobody looks for it in the list.
            #expect(try await place.authorized(.GET, "/terminals").json["data"] == .object(["terminals": .array([])]))
            #expect(try await place.authorized(.GET, "/commands").body.contains(command.id))
        }
    }

    /// More than a terminal keeps, and all end at once.
    @Test func commandsThatEndTogetherAreAllAnswered() async throws {
        try await SidekickPlace.claimed { place in
            let terminal = try await place.execTerminal()
            #expect(try await place.command("mkfifo go").exitCode == 0)
            try await withThrowingTaskGroup { group in
                for _ in 0..<80 {
                    group.addTask {
                        CommandAnswer(
                            try await place.authorized(
                                .POST, "/terminals/\(terminal)/execute", body: SidekickPlace.body(": < go; echo out")))
                    }
                }
                try await eventually("all run") {
                    let list = try await place.authorized(.GET, "/commands")
                    return list.json["data"]?.members["count"] == .int(80)
                }
                // Open for both, so that nobody who comes late waits.
                let opener = try await place.begin("exec 3<>go; sleep 600")
                for try await answer in group {
                    #expect(answer.status == 200)
                    #expect(answer.stdout == "out\n")
                }
                #expect(try await opener.delete() == 204)
            }
        }
    }

    @Test func grandchildThatKeepsThePipeHoldsNoModeUp() async throws {
        try await SidekickPlace.claimed { place in
            let line = "sleep 600 & echo $!; exit 3"
            let terminal = try await place.execTerminal()
            let background = try await place.begin(line).wait()
            let inTerminal = CommandAnswer(
                try await place.authorized(.POST, "/terminals/\(terminal)/execute", body: SidekickPlace.body(line)))
            let older = CommandAnswer(try await place.authorized(.POST, "/execute", body: SidekickPlace.body(line)))
            let code = CommandAnswer(
                try await place.authorized(
                    .POST, "/run/code", body: JSONValue.object(["code": .string(line), "language": .string("sh")]).line)
            )
            let socket = try await SidekickSocket.open(place)
            let streamed = try await place.begin(line, ["stream": .bool(true)])
            try await socket.send("subscribe", channel: streamed.channel)
            try await socket.send("command:start", ["cmd_id": .string(streamed.id)])
            #expect(try await socket.readCommand(streamed.channel).exit.data["exit_code"] == .int(3))
            await socket.close()
            for answer in [background, inTerminal, older, code, try await streamed.get()] {
                #expect(answer.exitCode == 3)
                let pid = try #require(answer.number)
                #expect(ProcessState(of: pid)?.isZombie == false, "it was meant to stay")
            }
        }
    }

    @Test func theTerminalsCommandsShareItsShellDirectoryAndVariables() async throws {
        try await SidekickPlace.claimed { place in
            #expect(try await place.command("mkdir -p sub/deeper").exitCode == 0)
            let terminal = try await place.execTerminal(
                #"{"shell":"/bin/sh","cwd":"sub","env":{"A":"1","B":"2"},"encoding":"base64"}"#)
            let got = try await place.authorized(.GET, "/terminals/\(terminal)").json["data"]?.members ?? [:]
            #expect(
                got == [
                    "id": .string(terminal), "pty": .bool(false), "status": .string("ready"), "ws_url": .string("/ws"),
                    "encoding": .string("base64"),
                ])
            func run(_ command: String, _ fields: [String: JSONValue] = [:]) async throws -> CommandAnswer {
                CommandAnswer(
                    try await place.authorized(
                        .POST, "/terminals/\(terminal)/execute", body: SidekickPlace.body(command, fields)))
            }
            let first = try await run("pwd; echo $A$B$0; echo err >&2")
            #expect(first.stdout == "\(place.home)/sub\n12/bin/sh\n")
            #expect(first.data["output"]?.text == "\(place.home)/sub\n12/bin/sh\nerr\n")
            #expect(first.state == "completed")
            #expect(first.exitCode == 0)
            #expect(first.data["terminal_id"]?.text == terminal)
            let second = try await run(
                "pwd; echo $A$B", ["cwd": .string("deeper"), "env": .object(["B": .string("3")])])
            #expect(second.stdout == "\(place.home)/sub/deeper\n13\n")
            let listed = try await place.authorized(.GET, "/terminals/\(terminal)/commands").json["data"]?.members
            #expect(listed?["count"] == .int(2))
            guard case .array(let commands)? = listed?["commands"] else {
                Issue.record("no list")
                return
            }
            #expect(commands.map { $0.members["cmd_id"] } == [first.data["cmd_id"], second.data["cmd_id"]])
            #expect(commands.allSatisfy { $0.members["stdout"] == nil })
            #expect(try await place.authorized(.GET, "/terminals").body.contains(terminal))
            #expect(try await place.authorized(.DELETE, "/terminals/\(terminal)").status == 204)
            for path in ["", "/commands", "/commands/x", "/commands/x/wait"] {
                let answer = try await place.authorized(.GET, "/terminals/\(terminal)\(path)")
                #expect(answer.status == 404, "\(path)")
            }
            #expect(try await run(":").status == 404)
            #expect(try await place.authorized(.DELETE, "/terminals/\(terminal)").status == 404)
        }
    }

    @Test func deletingATerminalEndsItsCommandsAndLetsTheirWaitersGo() async throws {
        try await SidekickPlace.claimed { place in
            let terminal = try await place.execTerminal()
            let command = try await place.begin("echo $$ > pid; exec sleep 600", ["async": .bool(true)], in: terminal)
            let pid = try await place.numberWritten(to: "pid")
            async let waiting = place.authorized(.GET, command.path + "/wait?timeout=20")
            async let polling = place.authorized(.GET, command.path + "/wait")
            #expect(try await place.authorized(.DELETE, "/terminals/\(terminal)").status == 204)
            try await eventually("the end of \(pid)") { ProcessState(of: pid) == nil }
            #expect(try await waiting.status == 404)
            // Its headers may have been out.
            #expect(try await polling.body.contains("not_found"))
        }
    }

    @Test func aWaitIs408WhenItsShortTimeIsOver() async throws {
        try await SidekickPlace.claimed { place in
            let command = try await place.begin("exec sleep 600")
            let answer = try await place.authorized(.GET, command.path + "/wait?timeout=0.2")
            #expect(answer.status == 408)
            #expect(answer.text("code") == "request_timeout")
            for bad in ["-1", "soon", "nan", "1e300"] {
                let refused = try await place.authorized(.GET, command.path + "/wait?timeout=\(bad)")
                #expect(refused.status == 400)
                #expect(refused.text("field") == "timeout")
            }
            #expect(try await command.delete() == 204)
        }
    }

    @Test func aTerminalWithAShellOfItsOwnRunsNoSingleCommands() async throws {
        try await SidekickPlace.claimed { place in
            let pty = try await place.terminal()
            let execute = try await place.authorized(
                .POST, "/terminals/\(pty)/execute", body: SidekickPlace.body("true"))
            #expect(execute.status == 400)
            #expect(execute.body.contains("pty"))
            #expect(try await place.authorized(.GET, "/terminals/\(pty)/commands/x/wait").status == 400)
            #expect(try await place.authorized(.GET, "/terminals/\(pty)/commands").status == 400)
        }
    }

    @Test func inputGoesToARunningCommandUntilItsEnd() async throws {
        try await SidekickPlace.claimed { place in
            let command = try await place.begin(
                "while read -r line; do echo \"<$line>\"; done; echo end",
                ["background": .bool(true), "stdin": .bool(true)])
            #expect(try await command.post("stdin", ["input": .string("one\n")]).status == 200)
            try await eventually("its answer") { try await command.get().stdout == "<one>\n" }
            let encoded = try await command.post(
                "stdin", ["input": .string("dHdvCg=="), "encoding": .string("base64")])
            #expect(encoded.status == 200)
            #expect(try await command.post("stdin", ["input": .string("three\n"), "eof": .bool(true)]).status == 200)
            let ended = try await command.wait()
            #expect(ended.stdout == "<one>\n<two>\n<three>\nend\n")
            let late = try await command.post("stdin", ["input": .string("x")])
            #expect(late.status == 409)
            #expect(late.text("field") == "input")
        }
    }

    @Test func inputThatNobodyReadsIsRefusedAndHoldsNothingUp() async throws {
        try await SidekickPlace.claimed { place in
            let deaf = try await place.begin("exec sleep 600", ["background": .bool(true), "stdin": .bool(true)])
            let part = JSONValue.string(String(repeating: "x", count: 400_000))
            var refused: SidekickPlace.Answer?
            for _ in 0..<5 where refused == nil {
                let answer = try await deaf.post("stdin", ["input": part])
                if answer.status != 200 { refused = answer }
            }
            #expect(refused?.status == 409)
            #expect(try await deaf.delete() == 204)

            let closed = try await place.begin("exec sleep 600")
            let none = try await closed.post("stdin", ["input": .string("x")])
            #expect(none.status == 409)
            #expect(none.body.contains("stdin: true"))
            for (fields, field) in [
                ([:], "input"), (["input": .int(1)], "input"),
                (["input": .string("%"), "encoding": .string("base64")], "input"),
                (["input": .string("x"), "encoding": .string("hex")], "encoding"),
                (["input": .string("x"), "eof": .string("yes")], "eof"),
            ] as [([String: JSONValue], String)] {
                let answer = try await closed.post("stdin", fields)
                #expect(answer.status == 400)
                #expect(answer.text("field") == field)
            }
        }
    }

    /// It has no input unless somebody said so, and then none that ends never.
    @Test func aCommandThatReadsItsInputDoesNotHang() async throws {
        try await SidekickPlace.claimed { place in
            let terminal = try await place.execTerminal()
            #expect(try await place.begin("cat; echo $?").wait().stdout == "0\n")
            #expect(try await place.begin("cat; echo $?", in: terminal).wait().stdout == "0\n")
            let text: [String: JSONValue] = ["background": .bool(true), "stdin": .string("given ")]
            #expect(try await place.begin("cat; echo $?", text).wait().stdout == "given 0\n")
        }
    }

    @Test func signalsGoToTheWholeGroup() async throws {
        try await SidekickPlace.claimed { place in
            let command = try await place.begin(
                "trap 'echo got; exit 9' USR1; sleep 600 & echo $! > child; echo $$ > pid; while :; do wait; done")
            let child = try await place.numberWritten(to: "child")
            _ = try await place.numberWritten(to: "pid")
            for bad: JSONValue in [.string("NONSENSE"), .int(0), .int(65), .bool(true), .string(""), .null] {
                let answer = try await command.post("signal", ["signal": bad])
                #expect(answer.status == 400)
                #expect(answer.text("field") == "signal")
            }
            #expect(try await command.post("signal", ["signal": .string("sigusr1")]).status == 200)
            let ended = try await command.wait()
            #expect(ended.stdout == "got\n")
            #expect(ended.exitCode == 9)
            try await eventually("the end of \(child)") { ProcessState(of: child) == nil }
            #expect(try await command.post("signal", ["signal": .int(15)]).status == 409)

            let killed = try await place.begin("exec sleep 600")
            #expect(try await killed.post("signal", ["signal": .string("9")]).status == 200)
            #expect(try await killed.wait().exitCode == 137)
        }
    }

    @Test func aDeletedCommandIsKilledAndForgotten() async throws {
        try await SidekickPlace.claimed { place in
            let command = try await place.begin("trap '' TERM; echo $$ > pid; while :; do sleep 600; done")
            let pid = try await place.numberWritten(to: "pid")
            #expect(try await command.delete() == 204)
            #expect(try await command.get().status == 404)
            #expect(try await command.delete() == 404)
            try await eventually("the end of \(pid)") { ProcessState(of: pid) == nil }
        }
    }

    @Test func outputIsReadByOffset() async throws {
        try await SidekickPlace.claimed { place in
            let command = try await place.begin("printf 'a\\303\\251b'; printf e >&2")
            _ = try await command.wait()
            let all = try await command.output()
            #expect(all["output"]?.text == "a\u{E9}b")
            #expect(all["next_offset"] == .int(4))
            #expect(all["is_last"] == .bool(true))
            #expect(try await command.output("?stream=stderr")["output"]?.text == "e")
            #expect(try await command.output("?since=3")["output"]?.text == "b")
            #expect(try await command.output("?since=99")["output"]?.text == "")
            #expect(try await command.output("?encoding=base64")["output"]?.text == "YcOpYg==")
            for (query, field) in [
                ("stream=both", "stream"), ("since=-1", "since"), ("since=x", "since"), ("limit=0", "limit"),
                ("encoding=x", "encoding"),
            ] {
                let answer = try await place.authorized(.GET, command.path + "/output?" + query)
                #expect(answer.status == 400)
                #expect(answer.text("field") == field)
            }
        }
    }

    @Test func ofTooMuchOutputTheNewestIsKeptAndTheRestCounted() async throws {
        try await SidekickPlace.claimed { place in
            let command = try await place.begin(
                "yes 0123456789abcde | head -c 9000000; printf end; echo err >&2; exit 6")
            let ended = try await command.wait()
            #expect(ended.exitCode == 6)
            #expect(ended.data["stdout_truncated"] == .bool(true))
            #expect(ended.data["stderr_truncated"] == nil)
            #expect(ended.stdout?.utf8.count == 4 << 20)
            #expect(ended.stdout?.hasSuffix("end") == true)
            let gap = try await command.output("?since=10&limit=100")
            #expect(gap["dropped_bytes"] == .int(9_000_003 - 4 << 20 - 10))
        }
    }

    @Test func aBackgroundCommandPastItsTimeSaysSo() async throws {
        try await SidekickPlace.claimed { place in
            let command = try await place.begin("sleep 600", ["background": .bool(true), "timeout_ms": .int(200)])
            let ended = try await command.wait()
            #expect(ended.exitCode == 124)
            #expect(ended.data["timed_out"] == .bool(true))
            #expect(ended.state == "failed")
        }
    }

    @Test func aClientThatGoesLeavesItsBackgroundCommandsAndTakesItsForegroundOneAlong() async throws {
        try await SidekickPlace.claimed { place in
            // Its connection is closed with the answer.
            let command = try await place.begin("echo $$ > kept; exec sleep 600")
            let kept = try await place.numberWritten(to: "kept")
            let terminal = try await place.execTerminal()
            let body = SidekickPlace.body("echo $$ > gone; exec sleep 600")
            let call = Task {
                try await place.send(
                    .POST, "/terminals/\(terminal)/execute", body: body, bearer: place.secret,
                    hangingUpOnceThereIs: place.home + "/gone")
            }
            let gone = try await place.numberWritten(to: "gone")
            try await call.value
            try await eventually("the end of \(gone)") { ProcessState(of: gone) == nil }
            #expect(ProcessState(of: kept) != nil)
            #expect(try await command.get().state == "running")
        }
    }

    @Test func runningAndWaitingOnesAreBounded() async throws {
        try await SidekickPlace.claimed { place in
            for _ in 0..<64 { _ = try await place.begin("true", ["stream": .bool(true)]) }
            let refused = try await place.authorized(
                .POST, "/run/command", body: SidekickPlace.body("true", ["stream": .bool(true)]))
            #expect(refused.status == 503)
            #expect(refused.headers.first(name: "Retry-After") == "1")
            for _ in 0..<63 { _ = try await place.execTerminal() }
            let last = try await place.execTerminal()
            #expect(try await place.authorized(.POST, "/terminals").status == 429)
            #expect(try await place.authorized(.DELETE, "/terminals/\(last)").status == 204)
            _ = try await place.execTerminal()
            // Those that wait do not keep others from running.
            #expect(try await place.begin("echo on").wait().stdout == "on\n")
        }
    }
}

extension SidekickPlace {
    /// Sends a request, and closes its connection when the file is there.
    fileprivate func send(
        _ method: HTTPMethod, _ target: String, body: String, bearer: String, hangingUpOnceThereIs file: String
    ) async throws {
        let connection = try await HTTPClientConnection.connect(to: listen, timeout: .seconds(30))
        try await connection.sendHead(
            HTTPRequestHead(
                version: .http1_1, method: method, uri: target,
                headers: ["Host": "x", "Authorization": "Bearer \(bearer)", "Content-Length": "\(body.utf8.count)"]))
        try await connection.sendBody(ByteBuffer(string: body))
        try await connection.finish()
        try await eventually(file) { FileManager.default.fileExists(atPath: file) }
        await connection.close()
    }
}
