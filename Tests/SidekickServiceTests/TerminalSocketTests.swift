import ComputeCore
import Glibc
import NIOHTTP1
import Subprocess
import Synchronization
import Testing

/// Terminals of the real executable, over `/ws`.
struct TerminalSocketTests {
    private static func claimed(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await body(place)
        }
    }

    @Test func trap8ATerminalLivesFromItsCreationToItsShellsExit() async throws {
        try await Self.claimed { place in
            let socket = try await SidekickSocket.open(place)
            let created = try await place.authorized(.POST, "/terminals", body: #"{"pty":true,"shell":"/bin/sh"}"#)
            #expect(created.status == 201)
            let data = created.json["data"]?.members ?? [:]
            let id = try #require(data["id"]?.text)
            #expect(data["pty"] == .bool(true))
            #expect(data["status"]?.text == "running")
            #expect(data["channel"]?.text == "terminal:\(id)")
            #expect(data["ws_url"]?.text == "/ws")
            #expect(data["encoding"]?.text == "raw")

            let event = try await socket.event("terminal:created")
            #expect(event.channel == "terminal:\(id)")
            #expect(event.data["id"]?.text == id)
            #expect(event.data["status"]?.text == "running")

            try await socket.subscribe(id)
            try await socket.input(id, "echo $((40 + 2))-$TERM-$GREETING\n")
            try await socket.output("42-xterm-256color-hello\r\n")
            // Numbers may come as floats.
            try await socket.send(
                "terminal:resize", ["terminal_id": .string(id), "cols": .double(132.0), "rows": .int(43)])
            try await socket.input(id, "stty size\n")
            try await socket.output("43 132\r\n")
            #expect(try await place.authorized(.GET, "/terminals/\(id)").status == 200)

            try await socket.input(id, "exit 7\n")
            let destroyed = try await socket.event("terminal:destroyed")
            #expect(destroyed.channel == "terminal:\(id)")
            #expect(destroyed.data["exit_code"] == .int(7))
            #expect(try await place.authorized(.GET, "/terminals/\(id)").status == 404)
            #expect(try await place.authorized(.GET, "/terminals").json["data"] == .object(["terminals": .array([])]))
            try await socket.input(id, "echo\n")
            #expect(try await socket.event("terminal:error").channel == "terminal:\(id)")
            await socket.close()
        }
    }

    @Test func badTokensAreRefusedBeforeTheUpgrade() async throws {
        try await Self.claimed { place in
            let targets = ["/ws", "/ws?token=\(place.secret)", "/ws?protocol=binary"]
            for target in targets {
                for bearer in [nil, "", "wrong", place.secret + "x"] {
                    let opening = try await SidekickSocket.open(place, bearer: bearer, target: target)
                    guard case .refused(let status, let headers) = opening else {
                        Issue.record("\(target) was upgraded for \(bearer ?? "nobody")")
                        continue
                    }
                    #expect(status == 401)
                    #expect(headers.first(name: "Upgrade") == nil)
                }
            }
        }
    }

    @Test func onlyAWebSocketIsUpgraded() async throws {
        try await Self.claimed { place in
            for version in [nil, 8] {
                let opening = try await SidekickSocket.open(place, bearer: place.secret, version: version)
                guard case .refused(status: 400, _) = opening else {
                    Issue.record("version \(version ?? 0): \(opening)")
                    continue
                }
            }
            #expect(place.errors == [])
        }
    }

    @Test func binaryFramesAreUnderstoodAndAnsweredInText() async throws {
        try await Self.claimed { place in
            let socket = try await SidekickSocket.open(place)
            let id = try await place.terminal()
            try await socket.send(
                bytes: BinaryMessage(kind: 1, channel: "terminal:\(id)", type: "subscribe", data: []).bytes)
            let resize = BinaryMessage(
                kind: 3, type: "terminal:resize",
                data: [("terminal_id", .text(id)), ("cols", .number(101)), ("rows", .number(27))])
            try await socket.send(bytes: resize.bytes)
            let input = BinaryMessage(
                kind: 3, type: "terminal:input",
                data: [("terminal_id", .text(id)), ("input", .text("stty size; echo é-$((40 + 2))\n"))])
            try await socket.send(bytes: input.bytes)
            // The socket's reader refuses binary frames, so these came as text.
            try await socket.output("27 101\r\n")
            try await socket.output("é-42\r\n")
            // JSON in a binary frame, and an unsubscribe without any data.
            let json = SidekickSocket.document(
                "terminal:input", "", ["terminal_id": .string(id), "input": .string("echo $((5 * 5))\n")])
            try await socket.send(bytes: Array(json.line.utf8))
            try await socket.output("25\r\n")
            try await socket.send(
                bytes: BinaryMessage(kind: 2, channel: "terminal:\(id)", type: "unsubscribe").bytes)
            try await socket.send(bytes: [1, 0, 200, 7])
            try await socket.event("error")
            try await socket.input(id, "echo unseen; exit 3\n")
            #expect(try await socket.event("terminal:destroyed").data["exit_code"] == .int(3))
            #expect(await !socket.transcript.contains("unseen"))
            await socket.close()
        }
    }

    @Test func deleteKillsTheShellAndWhatRunsInFront() async throws {
        try await Self.claimed { place in
            let socket = try await SidekickSocket.open(place)
            let id = try await place.terminal()
            // The shell lives through the hang-up, so only the kill ends it; its program then hears of that.
            try await socket.input(id, "trap : HUP; echo $$ > shell; sh -c 'echo $$ > child; exec sleep 600'\n")
            let pids = [try await place.numberWritten(to: "shell"), try await place.numberWritten(to: "child")]
            #expect(try await place.authorized(.DELETE, "/terminals/\(id)").status == 204)
            #expect(try await place.authorized(.GET, "/terminals/\(id)").status == 404)
            #expect(try await place.authorized(.DELETE, "/terminals/\(id)").status == 404)
            let destroyed = try await socket.event("terminal:destroyed")
            #expect(destroyed.data["exit_code"] == .int(128 + Int64(SIGKILL)))
            for pid in pids { try await eventually("the end of \(pid)") { ProcessState(of: pid) == nil } }
            await socket.close()
        }
    }

    @Test func twoViewersSeeTheSame() async throws {
        try await Self.claimed { place in
            let id = try await place.terminal()
            let viewers = [try await SidekickSocket.open(place), try await SidekickSocket.open(place)]
            // The first gets what was there before; from the marker on both get the same.
            for viewer in viewers { try await viewer.subscribe(id) }
            try await viewers[0].input(id, "echo begin-$((6 * 7))\n")
            try await viewers[1].output("begin-42\r\n")
            try await viewers[1].input(id, "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); echo line-$i; done; exit\n")
            var seen: [Substring] = []
            for viewer in viewers {
                try await viewer.event("terminal:destroyed")
                let transcript = await viewer.transcript
                let marker = try #require(transcript.firstRange(of: "begin-42\r\n"))
                seen.append(transcript[marker.lowerBound...])
                await viewer.close()
            }
            #expect(seen[0] == seen[1])
            #expect(seen[0].contains("line-2000\r\n"))
        }
    }

    @Test func terminalOutlivesItsConnectionAndKeepsWhatNobodySaw() async throws {
        try await Self.claimed { place in
            let id = try await place.terminal()
            let first = try await SidekickSocket.open(place)
            // Typing needs no subscription; so nobody sees this.
            try await first.input(id, "echo early-$((6 * 7)); echo 1 > done\n")
            #expect(try await place.numberWritten(to: "done") == 1)
            await first.close()
            let second = try await SidekickSocket.open(place)
            try await second.event("terminal:created") { $0.data["id"]?.text == id }
            try await second.subscribe(id)
            try await second.output("early-42\r\n")
            try await second.input(id, "exit 5\n")
            #expect(try await second.event("terminal:destroyed").data["exit_code"] == .int(5))
            await second.close()
        }
    }

    @Test func badTerminalsAreRefusedByName() async throws {
        try await Self.claimed { place in
            let refused: [(String, String?)] = [
                (#"{"pty":"yes"}"#, "pty"), (#"{"shell":7}"#, "shell"), (#"{"env":{"A":1}}"#, "env.A"),
                (#"{"pty":true,"shell":""}"#, "shell"), (#"{"pty":true,"shell":7}"#, "shell"),
                (#"{"pty":true,"shell":"/no/such/shell"}"#, "shell"), (#"{"pty":true,"shell":"\u0000"}"#, "shell"),
                (#"{"pty":true,"encoding":"utf-16"}"#, "encoding"), (#"{"pty":true,"encoding":1}"#, "encoding"),
                ("[]", nil),
            ]
            for (body, field) in refused {
                let answer = try await place.authorized(.POST, "/terminals", body: body)
                #expect(answer.status == 400, "\(body)")
                #expect(answer.text("field") == field, "\(body)")
            }
            #expect(try await place.authorized(.GET, "/terminals").json["data"] == .object(["terminals": .array([])]))
        }
    }

    @Test func terminationClosesSocketsWith1001AndWaitsForNobody() async throws {
        struct Left {
            var socket: SidekickSocket?
            var answer: Task<CommandAnswer, any Error>?
            var pids: [Int32] = []
            var signalled = ContinuousClock.now
        }
        let left = Mutex(Left())
        let status = try await SidekickPlace().run { place in
            try await place.claim()
            let socket = try await SidekickSocket.open(place)
            let id = try await place.terminal()
            try await socket.subscribe(id)
            try await socket.input(id, "trap '' HUP TERM INT; echo $$ > shell; while :; do sleep 600; done\n")
            let answer = Task { try await place.command("echo $$ > command; exec sleep 600") }
            let pids = [try await place.numberWritten(to: "shell"), try await place.numberWritten(to: "command")]
            left.withLock { $0 = Left(socket: socket, answer: answer, pids: pids) }
        }
        let end = ContinuousClock.now
        let seen = left.withLock { $0 }
        #expect(status == .exited(0))
        // Far below the sleeps and the silence it must not wait for; how fast it is, a busy machine cannot say.
        #expect(end - seen.signalled < .seconds(15))
        // This client never answers the close, and is not waited for.
        #expect(try await seen.socket?.closeCode() == 1001)
        await seen.socket?.close()
        // A call in flight is told how its command ended.
        #expect(try await seen.answer?.value.exitCode == 128 + Int64(SIGTERM))
        for pid in seen.pids { #expect(ProcessState(of: pid) == nil) }
    }
}

extension SidekickPlace {
    /// The id of a new terminal with a plain shell.
    func terminal() async throws -> String {
        let answer = try await authorized(.POST, "/terminals", body: #"{"pty":true,"shell":"/bin/sh"}"#)
        #expect(answer.status == 201)
        return try #require(answer.json["data"]?.members["id"]?.text)
    }
}
