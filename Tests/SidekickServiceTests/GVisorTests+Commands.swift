import ComputeCore
import NIOHTTP1
import Testing

extension GVisorTests {
    /// Attack 19, on the other kernel.
    @Test func commandsOfAllModesKeepTheirExitCodesAndLeaveNoZombie() async throws {
        try await sidekick { place in
            #expect(try await place.run(commands: 100) == 0)
            try await eventually("no zombie", within: .seconds(30)) { try await place.processCount() == 2 }
        }
    }

    @Test func backgroundAndStreamedCommandsTakeInputSignalsAndTimeLimits() async throws {
        try await sidekick(user: .unprivileged()) { place in
            let reader = try await place.begin(
                "while read -r line; do echo \"<$line>\"; done; echo end",
                ["background": .bool(true), "stdin": .bool(true)])
            #expect(try await reader.post("stdin", ["input": .string("one\n"), "eof": .bool(true)]).status == 200)
            #expect(try await reader.wait().stdout == "<one>\nend\n")
            let sleeper = try await place.begin("exec sleep 600")
            #expect(try await sleeper.post("signal", ["signal": .string("KILL")]).status == 200)
            #expect(try await sleeper.wait().exitCode == 137)
            let late = try await place.begin("exec sleep 600", ["background": .bool(true), "timeout_ms": .int(200)])
            #expect(try await late.wait().exitCode == 124)
            let socket = try await SidekickSocket.open(place)
            let streamed = try await place.begin("echo out; echo err >&2; exit 3", ["stream": .bool(true)])
            try await socket.send("subscribe", channel: streamed.channel)
            try await socket.send("command:start", ["cmd_id": .string(streamed.id)])
            let (stdout, stderr, exit) = try await socket.readCommand(streamed.channel)
            #expect(stdout.joined() == "out\n" && stderr.joined() == "err\n")
            #expect(exit.data["exit_code"] == .int(3))
            await socket.close()
            let code = try await place.authorized(
                .POST, "/run/code", body: #"{"code":"echo $((40 + 2))","language":"bash"}"#)
            #expect(code.data("output") == "42\n")
        }
    }
}
