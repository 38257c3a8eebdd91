import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Testing

/// Terminals whose watchers come, go, fall behind and push each other aside.
struct TerminalSurvivalTests {
    private static func claimed(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await body(place)
        }
    }

    @Test func whoComesBackGoesOnAtTheOffsetItHad() async throws {
        try await Self.claimed { place in
            let id = try await place.terminal()
            let first = try await SidekickSocket.open(place)
            try await first.subscribe(id)
            try await first.input(id, "stty -echo; PS1=; echo one-$((1 + 1))\n")
            try await first.output("one-2\r\n")
            let offset = await first.nextOffset
            await first.close()

            let typing = try await SidekickSocket.open(place)
            try await typing.input(id, "echo two-$((2 + 2)); echo 1 > done\n")
            #expect(try await place.numberWritten(to: "done") == 1)
            // Somebody else has seen it meanwhile, which takes nothing from whoever names an offset.
            try await typing.subscribe(id)
            try await typing.output("two-4\r\n")

            let second = try await SidekickSocket.open(place)
            try await second.send("subscribe", channel: "terminal:\(id)", ["since": .int(Int64(offset))])
            try await second.output("two-4\r\n")
            #expect(await second.transcript == "two-4\r\n")
            for socket in [typing, second] { await socket.close() }
        }
    }

    @Test func outputIsReadByOffsetWithoutAWebSocket() async throws {
        try await Self.claimed { place in
            let id = try await place.terminal()
            let typed = try await place.authorized(
                .POST, "/terminals/\(id)/input", body: #"{"input":"stty -echo; PS1=; printf 'a\\303\\251\\377'\n"}"#)
            #expect(typed.status == 200)
            var data: [String: JSONValue] = [:]
            try await eventually("the output") {
                let answer = try await place.authorized(.GET, "/terminals/\(id)/output?since=0")
                data = answer.json["data"]?.members ?? [:]
                return data["output"]?.text?.hasSuffix("aé\u{FFFD}") == true
            }
            guard case .int(let next) = data["next_offset"] else {
                Issue.record("no next_offset")
                return
            }
            let exact = try await place.authorized(
                .GET, "/terminals/\(id)/output?since=\(next - 4)&encoding=base64")
            #expect(exact.json["data"]?.members["output"]?.text == "YcOp/w==")
            let nothing = try await place.authorized(.GET, "/terminals/\(id)/output?since=\(next)")
            #expect(nothing.json["data"]?.members["output"]?.text == "")
            for (query, field) in [
                ("since=-1", "since"), ("since=x", "since"), ("encoding=z", "encoding"), ("limit=3", "limit"),
            ] {
                let answer = try await place.authorized(.GET, "/terminals/\(id)/output?\(query)")
                #expect(answer.status == 400 && answer.text("field") == field, "\(query)")
            }
            #expect(try await place.authorized(.GET, "/terminals/unknown/output").status == 404)
        }
    }

    /// A limit that no character fits into would never be got over.
    @Test func outputIsReadInTheSmallestPiecesToItsEnd() async throws {
        try await Self.claimed { place in
            let id = try await place.terminal()
            let typed = try await place.authorized(
                .POST, "/terminals/\(id)/input", body: #"{"input":"stty -echo; printf 'a\\342\\202\\254z\\n'\n"}"#)
            #expect(typed.status == 200)
            try await eventually("the output") {
                try await place.authorized(.GET, "/terminals/\(id)/output").body.contains("a\u{20AC}z")
            }
            var text = ""
            var next: Int64 = 0
            while !text.contains("a\u{20AC}z") {
                let answer = try await place.authorized(.GET, "/terminals/\(id)/output?limit=4&since=\(next)")
                let data = answer.json["data"]?.members ?? [:]
                text += data["output"]?.text ?? ""
                guard case .int(let offset)? = data["next_offset"], offset > next else {
                    Issue.record("stuck at \(next) behind \(text)")
                    return
                }
                next = offset
            }
        }
    }

    /// The writer waits for it, so the reader has to end it.
    @Test func whoTalksAndDoesNotListenIsLetGo() async throws {
        try await Self.claimed { place in
            let socket = try await SidekickSocket.open(place)
            let nonsense = SidekickSocket.document("nonsense", String(repeating: "x", count: 250), [:]).line
            await #expect(throws: (any Error).self) {
                // Far more answers than a connection between two processes holds.
                for _ in 0..<1000 { try await socket.send(text: nonsense, times: 100) }
            }
            await socket.close()
            #expect(try await place.command("true").exitCode == 0)
        }
    }

    /// Each has a process that does not listen to the hang-up.
    @Test func aDeletedTerminalKeepsItsPlaceUntilItHasEnded() async throws {
        try await Self.claimed { place in
            let body = #"{"pty":true,"shell":"/bin/sh"}"#
            var ids: [String] = []
            for _ in 0..<64 { ids.append(try await place.terminal()) }
            #expect(try await place.authorized(.POST, "/terminals", body: body).status == 429)
            let typed = try await place.authorized(
                .POST, "/terminals/\(ids[0])/input", body: #"{"input":"trap : HUP; echo $$ > pid\n"}"#)
            #expect(typed.status == 200)
            let pid = try await place.numberWritten(to: "pid")
            #expect(try await place.authorized(.DELETE, "/terminals/\(ids[0])").status == 204)
            try await eventually("its place is free") {
                try await place.authorized(.POST, "/terminals", body: body).status == 201
            }
            #expect(ProcessState(of: pid) == nil)
        }
    }

    @Test func theVariablesOfATerminalAreBounded() async throws {
        try await Self.claimed { place in
            for isInteractive in [true, false] {
                let body = JSONValue.object([
                    "pty": .bool(isInteractive),
                    "env": .object(["A": .string(String(repeating: "x", count: 128 << 10))]),
                ])
                let answer = try await place.authorized(.POST, "/terminals", body: body.line)
                #expect(answer.status == 400 && answer.text("field") == "env")
            }
        }
    }

    @Test func whoTakesOverIsAloneUntilItLeaves() async throws {
        try await Self.claimed { place in
            let id = try await place.terminal()
            let first = try await SidekickSocket.open(place)
            try await first.subscribe(id)
            let second = try await SidekickSocket.open(place)
            try await second.send("subscribe", channel: "terminal:\(id)", ["takeover": .bool(true)])
            let detached = try await first.event("detached")
            #expect(detached.channel == "terminal:\(id)")
            try await first.input(id, "echo stolen > stolen\n")
            #expect(try await first.event("terminal:error").channel == "terminal:\(id)")
            for (route, body) in [
                ("input", #"{"input":"echo stolen > stolen\n"}"#), ("resize", #"{"cols":9,"rows":9}"#),
            ] {
                let refused = try await place.authorized(.POST, "/terminals/\(id)/\(route)", body: body)
                #expect(refused.status == 409, "\(refused.body)")
            }
            try await second.input(id, "echo mine-$((4 + 4))\n")
            try await second.output("mine-8\r\n")
            #expect(access(place.home + "/stolen", F_OK) != 0)
            await second.close()
            // It may take a moment until its end is noticed.
            try await eventually("others may type again") {
                try await place.authorized(.POST, "/terminals/\(id)/input", body: #"{"input":"\n"}"#).status == 200
            }
            try await first.input(id, "echo back > back\n")
            try await eventually("input of the first again") { access(place.home + "/back", F_OK) == 0 }
            await first.close()
        }
    }

    /// Bytes of every value, in an order that cuts characters everywhere, come through as they are.
    @Test func everyByteComesThroughABase64Terminal() async throws {
        try await Self.claimed { place in
            var bytes: [UInt8] = []
            for step in 1...64 { bytes += (0..<256).map { UInt8(($0 * (2 * step + 1)) & 0xFF) } }
            _ = FileManager.default.createFile(atPath: place.home + "/bytes", contents: Data(bytes))
            let body = #"{"pty":true,"shell":"/bin/sh","encoding":"base64"}"#
            let created = try await place.authorized(.POST, "/terminals", body: body)
            let id = try #require(created.json["data"]?.members["id"]?.text)
            let socket = try await SidekickSocket.open(place)
            try await socket.subscribe(id)
            // Raw, or the terminal itself would write CR LF for LF.
            try await socket.input(id, "stty raw -echo; printf BEGIN; cat bytes; printf END; exit 9\n")
            let destroyed = try await socket.event("terminal:destroyed")
            #expect(destroyed.data["exit_code"] == .int(9))
            let received = await socket.bytes
            let begin = try #require(received.firstRange(of: Array("BEGIN".utf8))?.upperBound)
            // The echo of the command has the word as well.
            let last = received[begin...].firstRange(of: Array("BEGIN".utf8))?.upperBound ?? begin
            #expect(Array(received[last...].dropLast(3)) == bytes)
            await socket.close()
        }
    }

    @Test func whoReadsNothingNeitherStopsTheTerminalNorMakesTheSidekickGrow() async throws {
        try await Self.claimed { place in
            let id = try await place.terminal()
            let stuck = try await SidekickSocket.open(place)
            try await stuck.subscribe(id)
            let pid = try await place.sidekickPID()
            let before = try Self.residentKilobytes(pid)
            // From now on it reads nothing: sixty-four megabytes pass it by.
            try await stuck.input(id, "head -c 67108864 /dev/zero | tr '\\0' x; echo 1 > done\n")
            try await eventually("the end of the output", within: .seconds(60)) {
                access(place.home + "/done", F_OK) == 0
            }
            #expect(try Self.residentKilobytes(pid) - before < 24 << 10)
            let watching = try await SidekickSocket.open(place)
            try await watching.send("subscribe", channel: "terminal:\(id)", ["since": .int(0)])
            let output = try await watching.event("terminal:output")
            guard case .int(let dropped) = output.data["dropped_bytes"] else {
                Issue.record("no gap is told")
                return
            }
            #expect(dropped > 60 << 20)
            await watching.close()
            await stuck.close()
        }
    }

    private static func residentKilobytes(_ pid: Int32) throws -> Int {
        let status = String(
            decoding: FileManager.default.contents(atPath: "/proc/\(pid)/status") ?? Data(), as: UTF8.self)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try #require(Int(line.split(separator: " ").dropFirst().first ?? ""))
    }

    // MARK: - Traps that public clients fall into (their decoders and their order of calls)

    /// Clients install their handler after the answer to the POST has come.
    @Test func trap4CreatedIsToldAgainAfterTheAnswerAndToEveryNewConnection() async throws {
        try await Self.claimed { place in
            let early = try await SidekickSocket.open(place)
            let id = try await place.terminal()
            for _ in 0..<2 { try await early.event("terminal:created") { $0.data["id"]?.text == id } }
            let late = try await SidekickSocket.open(place)
            let event = try await late.event("terminal:created") { $0.data["id"]?.text == id }
            #expect(event.data["status"]?.text == "running")
            for socket in [early, late] { await socket.close() }
        }
    }

    /// A decoder of a public client loses binary frames, another decodes only some types of them.
    @Test func traps2And3EverythingGoesOutAsTextWhateverTheConnectionAskedFor() async throws {
        try await Self.claimed { place in
            for query in ["?protocol=binary", "?protocol=json", ""] {
                guard
                    case .open(let socket) = try await SidekickSocket.open(
                        place, bearer: place.secret, target: "/ws\(query)")
                else {
                    Issue.record("refused")
                    continue
                }
                let id = try await place.terminal()
                try await socket.subscribe(id)
                try await socket.input(id, "exit 4\n")
                // This reader refuses binary frames.
                let destroyed = try await socket.event("terminal:destroyed")
                #expect(destroyed.channel == "terminal:\(id)", "clients filter by channel")
                await socket.close()
            }
        }
    }

    @Test func outputIsAStringAndSaysItsEncoding() async throws {
        try await Self.claimed { place in
            let id = try await place.terminal()
            let socket = try await SidekickSocket.open(place)
            try await socket.subscribe(id)
            try await socket.input(id, "echo\n")
            let event = try await socket.event("terminal:output")
            #expect(event.data["output"]?.text != nil)
            #expect(event.data["encoding"]?.text == "raw")
            #expect(event.channel == "terminal:\(id)")
            await socket.close()
        }
    }

    @Test func numbersMayComeAsFloatsAndSizesOutOfRangeAreBroughtIn() async throws {
        try await Self.claimed { place in
            let id = try await place.terminal()
            let socket = try await SidekickSocket.open(place)
            try await socket.subscribe(id)
            for (columns, rows, shown) in [(0.0, 0.0, "1 1"), (65535, 65535, "1000 1000"), (-7, 12.6, "12 1")] {
                try await socket.send(
                    "terminal:resize",
                    ["terminal_id": .string(id), "cols": .double(columns), "rows": .double(rows)])
                try await socket.input(id, "stty size\n")
                try await socket.output("\(shown)\r\n")
            }
            for number in 0..<2000 {
                try await socket.send(
                    "terminal:resize",
                    ["terminal_id": .string(id), "cols": .int(Int64(20 + number % 100)), "rows": .int(30)])
            }
            try await socket.input(id, "stty size; echo flood-$((1 + 1))\n")
            try await socket.output("30 119\r\n")
            try await socket.output("flood-2\r\n")
            await socket.close()
        }
    }
}
