import ComputeCore
import Glibc
import NIOHTTP1
import Testing

/// Streamed commands over `/ws` (contract §2.4 to §2.6).
struct CommandSocketTests {
    private static func streaming(
        _ body: @escaping @Sendable (SidekickPlace, SidekickSocket) async throws -> Void
    ) async throws {
        try await SidekickPlace.claimed { place in
            let socket = try await SidekickSocket.open(place)
            try await body(place, socket)
            await socket.close()
        }
    }

    @Test func nothingRunsUntilCommandStart() async throws {
        try await Self.streaming { place, socket in
            let command = try await place.begin("echo x > ran; echo out", ["stream": .bool(true)])
            #expect(command.data["status"]?.text == "pending")
            #expect(command.data["channel"]?.text == command.channel)
            #expect(command.data["pty"] == .bool(false))
            #expect(command.data["stdout"]?.text == "" && command.data["stderr"]?.text == "")
            #expect(try await place.command("test ! -e ran").exitCode == 0)
            // Back to back: a connection's frames are done in order.
            try await socket.send("subscribe", channel: command.channel)
            try await socket.send("command:start", ["cmd_id": .string(command.id)])
            let (stdout, stderr, exit) = try await socket.readCommand(command.channel)
            #expect(stdout == ["out\n"])
            #expect(stderr.isEmpty)
            #expect(exit.data["exit_code"] == .int(0))
            #expect(exit.data["cmd_id"] == .string(command.id))
            #expect(exit.data["terminal_id"] == .string(command.terminal))
            #expect(try await command.get().stdout == "out\n")
            #expect(try await place.command("test -e ran").exitCode == 0)

            for id in [command.id, "cmd_unknown"] {
                try await socket.send("command:start", ["cmd_id": .string(id)])
                let error = try await socket.event("error")
                #expect(error.data["error"]?.text?.isEmpty == false)
                #expect(error.channel == "command:\(id)", "where its caller listens")
            }
            try await socket.send("command:start")
            #expect(try await socket.event("error").data["error"]?.text?.contains("cmd_id") == true)
        }
    }

    @Test func whoWatchesACommandThatIsDeletedBeforeItsStartHearsAnExit() async throws {
        try await Self.streaming { place, socket in
            let command = try await place.begin("echo out", ["stream": .bool(true)])
            try await socket.send("subscribe", channel: command.channel)
            // Handled in order, so it has subscribed when this is answered.
            try await socket.send("nonsense")
            _ = try await socket.event("error")
            #expect(try await command.delete() == 204)
            let (stdout, _, exit) = try await socket.readCommand(command.channel)
            #expect(stdout.isEmpty)
            #expect(exit.data["exit_code"] == .int(126))
            #expect(exit.data["reason"] == .string("not_started"))
        }
    }

    /// Trap 7: after the exit a client unsubscribes.
    @Test func trap7AllOutputOfBothStreamsComesBeforeTheExit() async throws {
        try await Self.streaming { place, socket in
            for code in 0..<20 {
                let command = try await place.begin(
                    "seq 1 3000; echo err >&2; printf tail; printf tail >&2; exit \(code)", ["stream": .bool(true)])
                try await socket.send("subscribe", channel: command.channel)
                try await socket.send("command:start", ["cmd_id": .string(command.id)])
                let (stdout, stderr, exit) = try await socket.readCommand(command.channel)
                #expect(stdout.joined() == (1...3000).map { "\($0)\n" }.joined() + "tail")
                #expect(stderr.joined() == "err\ntail")
                #expect(exit.data["exit_code"] == .int(Int64(code)))
                try await socket.send("unsubscribe", channel: command.channel)
            }
        }
    }

    /// Trap 1: decoders leave the data of `command:*` as bytes in a binary frame. (Every frame that is not text fails
    /// these tests.) And their own frames come in either kind.
    @Test func trap1CommandEventsAreTextAlsoOnABinaryConnection() async throws {
        try await SidekickPlace.claimed { place in
            let opening = try await SidekickSocket.open(place, bearer: place.secret, target: "/ws?protocol=binary")
            guard case .open(let socket) = opening else {
                Issue.record("refused")
                return
            }
            let command = try await place.begin("echo out", ["stream": .bool(true), "background": .bool(true)])
            try await socket.send(bytes: BinaryMessage(kind: 1, channel: command.channel, type: "subscribe").bytes)
            let start = BinaryMessage(kind: 3, type: "command:start", data: [("cmd_id", .text(command.id))])
            try await socket.send(bytes: start.bytes)
            #expect(try await socket.readCommand(command.channel).stdout == ["out\n"])
            await socket.close()
        }
    }

    /// Trap 6: a client joins texts, so none may end inside a character.
    @Test func trap6CharactersAreWholeHoweverTheCommandCutsThem() async throws {
        try await Self.streaming { place, socket in
            let text = "a\u{E9}\u{20AC}\u{1F600}z"
            // Each byte written on its own, with a moment between.
            let bytes = text.utf8.map { "printf '\\\(String($0, radix: 8))'; sleep 0.01" }.joined(separator: "; ")
            let command = try await place.begin(bytes + "; printf '\\303'", ["stream": .bool(true)])
            try await socket.send("subscribe", channel: command.channel)
            try await socket.send("command:start", ["cmd_id": .string(command.id)])
            let (stdout, _, _) = try await socket.readCommand(command.channel)
            #expect(stdout.joined() == text + "\u{FFFD}")
            #expect(stdout.dropLast().allSatisfy { !$0.contains("\u{FFFD}") }, "\(stdout)")
        }
    }

    @Test func bytesThatAreNoTextComeReplacedOrExactlyInBase64() async throws {
        try await Self.streaming { place, socket in
            let line = "printf 'a\\000\\377b'"
            let raw = try await place.begin(line, ["stream": .bool(true)])
            let terminal = try await place.execTerminal(#"{"encoding":"base64"}"#)
            let exact = try await place.begin(line, ["stream": .bool(true)], in: terminal)
            for (command, expected) in [(raw, "a\0\u{FFFD}b"), (exact, "YQD/Yg==")] {
                try await socket.send("subscribe", channel: command.channel)
                try await socket.send("command:start", ["cmd_id": .string(command.id)])
                #expect(try await socket.readCommand(command.channel).stdout.joined() == expected)
            }
        }
    }

    /// A start that fails is an end, or whoever waits for it waits for ever.
    @Test func aStreamedCommandThatCannotStartEndsAsAShellWouldSayIt() async throws {
        try await Self.streaming { place, socket in
            for fields: [String: JSONValue] in [
                ["shell": .string("/no/such/shell")], ["cwd": .string("missing")],
                ["env": .object(["A": .string(String(repeating: "x", count: 200_000))])],
            ] {
                let command = try await place.begin(":", fields.merging(["stream": .bool(true)]) { given, _ in given })
                try await socket.send("subscribe", channel: command.channel)
                try await socket.send("command:start", ["cmd_id": .string(command.id)])
                let (_, stderr, exit) = try await socket.readCommand(command.channel)
                #expect(stderr.joined().isEmpty == false)
                #expect(exit.data["exit_code"] == .int(127))
                #expect(exit.data["reason"] == .string("not_started"))
                #expect(try await command.get().state == "failed")
            }
        }
    }

    @Test func aCommandSurvivesItsSubscriberAndTellsTheNextOneEverything() async throws {
        try await SidekickPlace.claimed { place in
            let first = try await SidekickSocket.open(place)
            let command = try await place.begin(
                "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two", ["stream": .bool(true)])
            try await first.send("subscribe", channel: command.channel)
            try await first.send("command:start", ["cmd_id": .string(command.id)])
            #expect(try await first.event("command:stdout").data["output"] == .string("one\n"))
            await first.close()
            #expect(try await place.command("echo > go").exitCode == 0)
            #expect(try await command.wait().stdout == "one\ntwo\n")
            let second = try await SidekickSocket.open(place)
            try await second.send("subscribe", channel: command.channel, ["since": .int(0)])
            let (stdout, _, exit) = try await second.readCommand(command.channel)
            #expect(stdout.joined() == "one\ntwo\n")
            #expect(exit.data["exit_code"] == .int(0))
            await second.close()
        }
    }

    /// However many others end meanwhile.
    @Test func aSlowReaderOfACommandThatIsForgottenStillHearsTheRestAndTheExit() async throws {
        try await SidekickPlace.claimed { place in
            let socket = try await SidekickSocket.open(place)
            let command = try await place.begin(
                "yes 0123456789abcde | head -c 3000000; exit 3", ["stream": .bool(true)])
            try await socket.send("subscribe", channel: command.channel)
            try await socket.send("command:start", ["cmd_id": .string(command.id)])
            #expect(try await command.wait().exitCode == 3)
            #expect(try await command.delete() == 204)
            #expect(try await command.get().status == 404)
            let (stdout, _, exit) = try await socket.readCommand(command.channel)
            #expect(stdout.reduce(0) { $0 + $1.utf8.count } == 3_000_000)
            #expect(exit.data["exit_code"] == .int(3))
            await socket.close()
        }
    }

    /// Attack 22: a subscriber that does not read stops neither the command nor us, and is told what it missed.
    @Test func aSubscriberThatDoesNotReadLosesOutputAndIsToldHowMuch() async throws {
        try await SidekickPlace.claimed { place in
            let slow = try await SidekickSocket.open(place)
            let dead = try await SidekickSocket.open(place)
            let command = try await place.begin(
                "yes 0123456789abcde | head -c 40000000; exit 3", ["stream": .bool(true)])
            for socket in [slow, dead] { try await socket.send("subscribe", channel: command.channel) }
            try await slow.send("command:start", ["cmd_id": .string(command.id)])
            #expect(try await command.wait().exitCode == 3)
            let sidekick = try await place.sidekickPID()
            #expect(try #require(residentMegabytes(of: sidekick)) < 100)
            await dead.close()
            var received = 0
            var dropped = 0
            while true {
                let event = try await slow.anyEvent(before: "the exit")
                if event.type == "command:exit" {
                    #expect(event.data["exit_code"] == .int(3))
                    break
                }
                received += event.data["output"]?.text?.utf8.count ?? 0
                if case .int(let count)? = event.data["dropped_bytes"] { dropped += Int(count) }
            }
            #expect(received + dropped == 40_000_000)
            #expect(dropped > 0)
            await slow.close()
        }
    }
}

/// What `/proc` says of the memory that is its own.
func residentMegabytes(of pid: Int32) -> Int? {
    guard let file = fopen("/proc/\(pid)/statm", "r") else { return nil }
    defer { fclose(file) }
    var numbers = [CChar](repeating: 0, count: 256)
    guard fgets(&numbers, 256, file) != nil else { return nil }
    let fields = String(decoding: numbers.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
    guard fields.count > 2, let all = Int(fields[1]), let shared = Int(fields[2]) else { return nil }
    return (all - shared) * 4096 >> 20
}
