import ComputeCore
import NIOHTTP1
import Testing

/// The keys that send signals: gVisor does not do that, or not well, so the Sidekick does.
extension GVisorTests {
    private func withTerminal(
        _ body: @escaping @Sendable (SidekickSocket, _ id: String) async throws -> Void
    ) async throws {
        try await sidekick { place in
            let socket = try await SidekickSocket.open(place)
            let created = try await place.authorized(.POST, "/terminals", body: #"{"pty":true,"shell":"/bin/bash"}"#)
            let id = try #require(created.json["data"]?.members["id"]?.text)
            try await socket.subscribe(id)
            try await body(socket, id)
            try await socket.input(id, "exit 7\n")
            #expect(try await socket.event("terminal:destroyed").data["exit_code"] == .int(7))
            await socket.close()
        }
    }

    private func runCat(_ socket: SidekickSocket, _ id: String) async throws {
        try await socket.input(id, "echo go-$((1)); cat\n")
        // The shell itself reads no more.
        try await socket.output("go-1\r\n")
        try await socket.input(id, "shown\n")
        try await socket.output("shown\r\nshown\r\n")
    }

    @Test func controlCEndsWhatRunsAndWhatIsTypedBehindItGoesToTheShell() async throws {
        try await withTerminal { socket, id in
            try await runCat(socket, id)
            // Of a line that has not ended nothing is left for the shell.
            try await socket.input(id, "partial")
            try await socket.output("partial")
            try await socket.input(id, "\u{3}echo code-$?-$((40 + 2))\n")
            try await socket.output("code-130-42\r\n")
            #expect(await socket.transcript.contains("^C"))
            // No program has got the key as well.
            #expect(await !socket.transcript.contains("\u{3}"))
            // At the prompt it empties the line.
            try await socket.input(id, "exit 1")
            try await socket.output("exit 1")
            try await socket.input(id, "\u{3}")
            try await socket.input(id, "echo again-$((40 + 3))\n")
            try await socket.output("again-43\r\n")
        }
    }

    @Test func controlZStopsWhatRuns() async throws {
        try await withTerminal { socket, id in
            try await runCat(socket, id)
            try await socket.input(id, "\u{1a}")
            try await socket.input(id, "jobs\n")
            try await socket.output("Stopped")
            // A shell does not exit while it has a stopped job.
            try await socket.input(id, "kill -9 %1; wait %1; echo gone-$((40 + 2))\n")
            try await socket.output("gone-42\r\n")
        }
    }

    @Test func aProgramThatWantsTheKeysGetsThem() async throws {
        try await withTerminal { socket, id in
            try await socket.input(id, "stty -isig; echo ready-$((40 + 2)); head -c 1 | od -An -tx1; stty isig\n")
            try await socket.output("ready-42\r\n")
            try await socket.input(id, "\u{3}\n")
            try await socket.output(" 03\r\n")
        }
    }
}
