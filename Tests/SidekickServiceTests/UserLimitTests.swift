import ComputeCore
import Glibc
import LinuxSystem
import NIOHTTP1
import SidekickService
import Testing

/// What user code gets of a compute, on the plain kernel.
struct UserLimitTests {
    @Test(arguments: [(#"{"cwd":"nowhere"}"#, "cwd"), (#"{"shell":"/no/sh"}"#, "shell"), (#"{"cwd":"/root"}"#, "cwd")])
    func anExecTerminalWhoseCommandsCouldNotStartIsRefused(_ body: String, _ field: String) async throws {
        try await SidekickPlace(user: .unprivileged()).run { place in
            try await place.claim()
            let refused = try await place.authorized(.POST, "/terminals", body: body)
            #expect(refused.status == 400 && refused.text("field") == field, "\(refused.body)")
            let terminal = try await place.execTerminal(#"{"cwd":".","shell":"/bin/sh"}"#)
            let ran = try await place.begin("pwd", in: terminal).wait()
            #expect(ran.stdout == place.home + "\n", "\(ran)")
        }
    }

    @Test func aServerWhoseFolderItsUserCannotEnterIsRefused() async throws {
        try await SidekickPlace(user: .unprivileged()).run { place in
            try await place.claim()
            let refused = try await place.server("a", "true", ["path": .string("/root")])
            #expect(refused.status == 400 && refused.body.contains(#""field":"path""#), "\(refused.body)")
        }
    }

    @Test func userCodeHasItsLimitsAndCannotRaiseThem() async throws {
        try await SidekickPlace(options: ["--max-processes", "4321"]).run { place in
            try await place.claim()
            let limits = try await place.command("cat /proc/self/limits").stdout ?? ""
            let rows = limits.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(rows.contains { $0.starts(with: ["Max", "processes", "4321", "4321"]) }, "\(limits)")
            #expect(rows.contains { $0.starts(with: ["Max", "core", "file", "size", "0", "0"]) }, "\(limits)")
            #expect(rows.contains { $0.starts(with: ["Max", "open", "files", "1024"]) }, "\(limits)")
            let sidekick = try await place.sidekickPID()
            let own = try await place.command("cat /proc/\(sidekick)/limits").stdout ?? ""
            #expect(!own.contains("4321"), "the Sidekick is not bounded itself")
        }
    }

    @Test(arguments: ["--max-processes=0", "--max-processes=many", "--memory-limit=1", "--memory-limit=-5"])
    func senselessLimitsAreRefusedByName(_ option: String) {
        guard
            case .refuse(let reason) = SidekickSettings.parse(
                arguments: SidekickPlace.minimal + [option], environment: [:])
        else {
            Issue.record("taken")
            return
        }
        #expect(reason.contains(option.split(separator: "=")[0]))
    }
}

/// Alone: a watch over memory that gets no processor sees a hog too late, on a machine where nothing else holds it.
struct MemoryStressTests {
    @Test func memoryHogsDieAndEverythingElseLives() async throws {
        try await SidekickPlace(options: ["--memory-limit", "\(96 << 20)"]).run { place in
            try await place.claim()
            try await place.memoryHogsDie()
        }
    }
}

/// Alone, as above. One after the other: they have the same account, and with it the same number of processes.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct ForkBombStressTests {
    @Test(arguments: ForkBomb.allCases)
    func aForkBombEndsAndEverythingElseLives(_ bomb: ForkBomb) async throws {
        try await SidekickPlace(user: .unprivileged(), options: ["--max-processes", "200"]).run { place in
            try await place.claim()
            try await place.forkBombEnds(bomb)
        }
    }

    @Test(.enabled(Runsc.absence) { await Runsc.found != nil }, arguments: ForkBomb.allCases)
    func insideASandboxToo(_ bomb: ForkBomb) async throws {
        try await GVisorTests().sidekick(user: .unprivileged(), options: ["--max-processes", "64"]) { place in
            try await place.forkBombEnds(bomb)
        }
    }
}

/// Programs that start others without end and take no refusal for an answer. Shells give up at the first.
enum ForkBomb: String, CaseIterable {
    /// One that lives and starts children that do not.
    case spawning =
        "$SIG{CHLD} = 'IGNORE'; while (1) { $p = fork; if (defined $p && !$p) { select undef, undef, undef, 0.5; exit } }"
    /// Each becomes two, and lives for a while.
    case doubling =
        "$SIG{CHLD} = 'IGNORE'; while (1) { $p = fork; $n = 0 if defined $p && !$p; select undef, undef, undef, 0.02; exit if $n++ > 3 + $$ % 9 }"
    /// Each in a session of its own, without a parent, and none ever ends.
    case fleeing =
        "use POSIX; while (1) { $p = fork; if (defined $p && !$p) { setsid; exit if fork } waitpid $p, 0 if $p; select undef, undef, undef, 0.01 }"

    var command: String { "exec perl -e '\(rawValue.replacing("'", with: "\""))'" }
}

extension SidekickPlace {
    /// Enough to start with.
    fileprivate static let minimal = [
        "--internal-listen", "127.0.0.1:1", "--member", "maaaaaaaaaaaaaaa", "--claim-key",
        String(repeating: "A", count: 43), "--state-dir", "/nowhere",
    ]

    /// Its command's caller is answered, what ran before lives on, and others can start again.
    func forkBombEnds(_ bomb: ForkBomb) async throws {
        let bystander = try #require(try await command("sleep 600 >/dev/null 2>&1 & echo $!").number)
        // Whoever came together with the bomb goes with it.
        try await Task.sleep(for: .milliseconds(500))
        _ = try await begin(bomb.command)
        try await eventually("others can start again", within: .seconds(30)) {
            let alive = try await self.command("kill -0 \(bystander) && sh -c 'echo alive'").stdout
            return alive == "alive\n" && self.log.contains { $0.contains("started others without end") }
        }
        #expect(try await send(.GET, "/health").status == 200)
    }

    /// With some 100 to 200 MB for the compute: what wants a gigabyte at once is killed and its caller is told why, and
    /// nobody else is.
    func memoryHogsDie() async throws {
        let bystander = try #require(try await command("sleep 600 >/dev/null 2>&1 & echo $!").number)
        // All zeros are one line, which tail keeps: as fast as memory can be had.
        let hog = "head -c 1000000000 /dev/zero | tail -n 1 | wc -c"
        let alone = try await command(hog)
        #expect(alone.exitCode == 137, "\(alone)")
        #expect(alone.data["reason"]?.text == "out_of_memory")
        let answers = try await withThrowingTaskGroup(of: CommandAnswer.self) { group in
            for _ in 0..<3 { group.addTask { try await self.command(hog) } }
            return try await group.reduce(into: [CommandAnswer]()) { $0.append($1) }
        }
        for answer in answers { #expect(answer.exitCode == 137, "\(answer)") }
        // A small one is no hog, whatever came before it.
        let small = try await command(
            "head -c 1000000 /dev/zero | tail -n 1 | wc -c; kill -0 \(bystander) && echo alive")
        #expect(small.stdout == "1000000\nalive\n", "\(small)")
        #expect(small.data["reason"] == nil)
        #expect(log.contains { $0.contains("out of memory") })
        #expect(try await send(.GET, "/health").status == 200)
    }
}

/// `--user` for images that were not made for us.
struct ForeignAccountTests {
    private static let files = AccountFiles(
        passwd: "root:x:0:0::/root:/bin/bash\nnode:x:1000:1000::/home/node:/bin/sh\n", group: "extra:x:7:node\n")

    @Test func anAccountIsFoundByNameOrNumber() {
        for text in ["node", "1000", "1000:1000", "user"] {
            let found = UserIdentity.account(text, in: Self.files)
            #expect(found?.account.name == "node", "\(text)")
            #expect(found?.account.home == "/home/node", "\(text)")
            #expect(found?.groups == [1000, 7], "\(text)")
        }
    }

    @Test func anotherGroupTakesTheAccountsGroupsAway() {
        let found = UserIdentity.account("1000:50", in: Self.files)
        #expect(found?.account.gid == 50)
        #expect(found?.groups == [50])
    }

    @Test func numbersNeedNoAccount() {
        let none = AccountFiles(passwd: "", group: "")
        for (text, uid, gid) in [
            ("user", UInt32(1000), UInt32(1000)), ("1000:1000", 1000, 1000), ("12:34", 12, 34), ("12", 12, 12),
        ] {
            let found = UserIdentity.account(text, in: none)
            #expect(found?.account.uid == uid && found?.account.gid == gid, "\(text)")
            #expect(found?.account.home == "/home/user" && found?.groups == [gid], "\(text)")
        }
    }

    @Test(arguments: ["nobody-here", "", ":", "1000:", ":5", "1:2:3", "-1", "4294967295", "1000:x", "4294967296"])
    func whatIsNeitherIsNobody(_ text: String) {
        #expect(UserIdentity.account(text, in: Self.files) == nil)
    }
}
