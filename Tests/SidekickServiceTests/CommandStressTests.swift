import ComputeCore
import Glibc
import NIOHTTP1
import Testing

/// What other agents fell to (attacks 19 and 21), at a size that shows it.
@Suite(.timeLimit(.minutes(5)))
struct CommandStressTests {
    /// Attack 19, on the plain kernel.
    @Test func tenThousandShortProcessesKeepTheirExitCodesAndLeaveNoZombie() async throws {
        try await SidekickPlace.claimed { place in
            let sidekick = try await place.sidekickPID()
            // Each is a shell and four more processes, of which some outlive it.
            let wrong = try await place.run(commands: 2000)
            #expect(wrong == 0)
            try await eventually("no child left, dead or alive") { try ProcessState.children(of: sidekick).isEmpty }
        }
    }

    /// Attack 21. No newline in all of it, so that whoever reads by lines would hold it whole.
    @Test func aLineOfAQuarterGigabyteIsReadInBoundedMemory() async throws {
        try await SidekickPlace.claimed { place in
            let sidekick = try await place.sidekickPID()
            let line = "head -c 268435456 /dev/zero | tr '\\0' x; printf end >&2; exit 4"
            let foreground = try await place.command(line)
            #expect(foreground.exitCode == 4)
            #expect(foreground.stdout?.utf8.count == 8 << 20)
            #expect(foreground.data["stdout_truncated"] == .bool(true))
            #expect(foreground.stderr == "end")
            let background = try await place.begin(line).wait()
            #expect(background.exitCode == 4)
            #expect(background.stdout?.utf8.count == 4 << 20)
            #expect(background.stderr == "end")
            // Some answers of this size were built on the way.
            #expect(try #require(residentMegabytes(of: sidekick)) < 150)
        }
    }
}

extension SidekickPlace {
    /// Runs `count` commands, some at a time and in turn in every mode, each of five processes, of which some outlive it.
    /// - Returns: how many told another exit code than theirs.
    func run(commands count: Int) async throws -> Int {
        let terminal = try await execTerminal()
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            var wrong = 0
            for number in 0..<count {
                if number >= 8, try await group.next() == false { wrong += 1 }
                group.addTask { [self] in
                    let expected = Int64(number % 256)
                    // Most end at once, before or after their parent; some clearly after it.
                    let orphan = number % 20 == 0 ? "sleep 0.0\(number / 20 % 4)" : ":"
                    let line = "{ (\(orphan) & ) ; (: & ) ; } >/dev/null 2>&1; exit \(expected)"
                    switch number % 4 {
                    case 0: return try await begin(line).wait().exitCode == expected
                    case 1: return try await begin(line, [:], in: terminal).get().exitCode == expected
                    default: return try await command(line).exitCode == expected
                    }
                }
            }
            for try await isRight in group where !isRight { wrong += 1 }
            return wrong
        }
    }
}
