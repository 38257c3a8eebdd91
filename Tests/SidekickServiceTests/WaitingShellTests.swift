import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Testing

/// Shells that are started ahead, of the real executable.
struct WaitingShellTests {
    private static func waiting(
        _ body: @escaping @Sendable (SidekickPlace, _ pid: Int32) async throws -> Void
    ) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await body(place, try await place.waitingShell())
        }
    }

    @Test func aCommandRunsInAShellThatWaitedAsIfItHadBeenStartedForIt() async throws {
        try await Self.waiting { place, pid in
            try FileManager.default.createDirectory(atPath: "\(place.home)/below", withIntermediateDirectories: false)
            let answer = try await place.command(
                "echo $$ $0 \"$WORD\"; pwd; cat; ls /proc/self/fd | wc -l; env | grep -c WAITING; umask; exit 3",
                ["cwd": .string("below"), "env": .object(["WORD": .string("ä b")]), "stdin": .string("in\n")])
            #expect(answer.exitCode == 3)
            #expect(answer.stdout == "\(pid) /bin/sh ä b\n\(place.home)/below\nin\n4\n0\n0022\n")
            #expect(answer.stderr == "")
        }
    }

    @Test func oneWaitsForTheFirstCommandFromTheStart() async throws {
        try await SidekickPlace().run { place in
            try await eventually("a shell waits") { place.waitingShells(of: "").count == 1 }
            let waiting = try #require(place.waitingShells(of: "").first)
            try await place.claim()
            let answer = try await place.authorized(.POST, "/run/command", body: #"{"command":"echo -n $$"}"#)
            #expect(answer.data("stdout") == "\(waiting)")
        }
    }

    @Test func itIsShownAsWhatItRuns() async throws {
        try await Self.waiting { place, pid in
            let shown = try await place.command("tr '\\0' '|' < /proc/$$/cmdline; : a mark")
            #expect(shown.stdout?.hasPrefix("/bin/sh|-c|tr '\\0' '|' < /proc/$$/cmdline; : a mark ") == true)
            #expect(shown.stdout?.hasSuffix(" |") == true)
        }
    }

    @Test func oneThatWasKilledIsNotMissed() async throws {
        try await Self.waiting { place, pid in
            #expect(kill(pid, SIGKILL) == 0)
            let answer = try await place.command("echo $$")
            #expect(answer.exitCode == 0)
            #expect(answer.number.map { $0 != pid } == true)
        }
    }

    /// It has the order, and never comes to it.
    @Test func oneThatIsKilledBeforeItTakesItsOrderHasRunNothing() async throws {
        try await Self.waiting { place, pid in
            #expect(kill(pid, SIGSTOP) == 0)
            async let answer = place.command("echo $$ >> ran; echo $$")
            // So that the order is on its way, most probably; all else holds if it is not.
            try await Task.sleep(for: .milliseconds(100))
            #expect(kill(pid, SIGKILL) == 0)
            let other = try #require(try await answer.number)
            #expect(other != pid)
            #expect(try await place.command("cat ran").stdout == "\(other)\n")
        }
    }

    @Test func aFolderThatIsNotThereIsStillNamed() async throws {
        try await Self.waiting { place, _ in
            let answer = try await place.authorized(
                .POST, "/run/command",
                body: #"{"command": "true", "shell": "/bin/sh", "cwd": "nowhere"}"#)
            #expect(answer.status == 400)
            #expect(answer.text("field") == "cwd")
        }
    }

    @Test func variablesThatAreReadBeforeMainGetAShellOfTheirOwn() async throws {
        try await Self.waiting { place, pid in
            let answer = try await place.command("echo $$", ["env": .object(["LD_LIBRARY_PATH": .string("/nowhere")])])
            #expect(answer.exitCode == 0)
            #expect(answer.number.map { $0 != pid } == true)
        }
    }

    @Test func aCommandThatIsTooLongForTheSocketGetsAShellOfItsOwn() async throws {
        try await Self.waiting { place, pid in
            let answer = try await place.command("echo $$ # \(String(repeating: "x", count: 100_000))")
            #expect(answer.exitCode == 0)
            #expect(answer.number.map { $0 != pid } == true)
        }
    }

    @Test func itIsNobodysProcessYet() async throws {
        try await Self.waiting { place, pid in
            let answer = try await place.authorized(.GET, "/processes")
            #expect(answer.status == 200)
            #expect(!answer.body.contains("waits for the next command"))
        }
    }
}

extension SidekickPlace {
    /// One that has begun to wait.
    func waitingShell() async throws -> Int32 {
        _ = try await command("true")
        try await eventually("a shell waits") { self.waitingShells().count == 1 }
        return try #require(waitingShells().first)
    }

    static func isWaitingShell(_ pid: Int32, of program: String = "") -> Bool {
        let line = String(
            decoding: FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data(), as: UTF8.self)
        return line.hasPrefix(program) && line.contains("\0-c\0: waits for the next command")
    }

    /// Those of this place: its processes name its folder, which nobody else's do.
    func waitingShells(of program: String = "/bin/sh") -> [Int32] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { name in
            guard let pid = Int32(name), Self.isWaitingShell(pid, of: program),
                let folder = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(name)/cwd"),
                folder == home
            else { return nil }
            return pid
        }
    }
}
