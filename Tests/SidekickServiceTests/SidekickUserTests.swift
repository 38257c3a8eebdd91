import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Subprocess
import Testing

/// `--user`: user code as another account than the Sidekick's. Only root can become somebody else.
@Suite(.enabled(if: geteuid() == 0, "only root can become another account"))
struct SidekickUserTests {
    /// The Sidekick's own supplementary groups, for user code to lose.
    private static let ownGroups = ["/usr/bin/setpriv", "--groups=4201,4202"]

    private static func claimed(
        _ body: @escaping @Sendable (SidekickPlace, TestAccount) async throws -> Void
    ) async throws {
        let account = try TestAccount.unprivileged()
        try await SidekickPlace(user: account).run(under: ownGroups) { place in
            try await place.claim()
            try await body(place, account)
        }
    }

    /// The lines of `/proc/<pid>/status` that say who a process is.
    private static func identity(_ status: String?) -> [String: [String]] {
        var lines: [String: [String]] = [:]
        for line in (status ?? "").split(separator: "\n") {
            let fields = line.split(whereSeparator: { $0 == ":" || $0 == "\t" || $0 == " " }).map(String.init)
            lines[fields.first ?? ""] = Array(fields.dropFirst())
        }
        return lines
    }

    private static func checkIdentity(_ status: String?, _ account: TestAccount) {
        let identity = identity(status)
        #expect(identity["Uid"] == Array(repeating: "\(account.uid)", count: 4))
        #expect(identity["Gid"] == Array(repeating: "\(account.gid)", count: 4))
        let groups = identity["Groups"] ?? ["none"]
        #expect(Set(groups).isDisjoint(with: ["0", "4201", "4202", "none"]), "\(groups)")
        for set in ["CapPrm", "CapEff", "CapAmb"] { #expect(identity[set] == ["0000000000000000"]) }
    }

    @Test func commandsAndTerminalsRunAsTheAccountAlone() async throws {
        try await Self.claimed { place, account in
            let sidekick = try await place.sidekickPID()
            let own = FileManager.default.contents(atPath: "/proc/\(sidekick)/status") ?? Data()
            let ownIdentity = Self.identity(String(decoding: own, as: UTF8.self))
            try #require(ownIdentity["Uid"]?.first == "0" && ownIdentity["Groups"] == ["4201", "4202"])

            Self.checkIdentity(try await place.command("cat /proc/self/status").stdout, account)
            #expect(
                try await place.command("id -un; echo $USER; pwd").stdout
                    == "\(account.name)\n\(account.name)\n\(place.home)\n")

            let id = try await place.terminal()
            let socket = try await SidekickSocket.open(place)
            try await socket.subscribe(id)
            // The terminal is the account's too, or programs that open it by name fail.
            try await socket.input(id, "cat /proc/self/status > status; stat -c %u $(tty) > tty; echo 1 > done\n")
            #expect(try await place.numberWritten(to: "done") == 1)
            let status = FileManager.default.contents(atPath: place.home + "/status") ?? Data()
            Self.checkIdentity(String(decoding: status, as: UTF8.self), account)
            #expect(try await place.numberWritten(to: "tty") == Int32(account.uid))
            await socket.close()
        }
    }

    @Test func filesBelongToTheAccount() async throws {
        try await Self.claimed { place, account in
            // Many at once, so that every thread for files has to become the account, and stay it.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<32 {
                    group.addTask {
                        let body = #"{"path":"dir-\#(number)/f","content":"x"}"#
                        let answer = try await place.authorized(.POST, "/files", body: body)
                        #expect(answer.status == 201)
                    }
                }
                try await group.waitForAll()
            }
            for number in 0..<32 {
                for name in ["dir-\(number)", "dir-\(number)/f"] {
                    var info = stat()
                    try #require(lstat(place.home + "/" + name, &info) == 0)
                    #expect(info.st_uid == account.uid && info.st_gid == account.gid, "\(name)")
                }
            }
            #expect(try await place.command("rm -r dir-0 && echo gone").stdout == "gone\n")
            #expect(try await place.authorized(.DELETE, "/files/dir-1").status == 204)
        }
    }

    @Test func whatIsRootsStaysRoots() async throws {
        try await Self.claimed { place, _ in
            let secret = place.path + "/root-only"
            #expect(FileManager.default.createFile(atPath: secret, contents: Data("root's\n".utf8)))
            try #require(chmod(secret, 0o600) == 0)

            let read = try await place.command("cat \(secret) link 2>/dev/null")
            #expect(read.stdout == "" && read.exitCode != 0)
            // Through a link of the account's own making as well.
            #expect(try await place.command("ln -s \(secret) link").exitCode == 0)
            for target in ["/files/\(secret)?content=true", "/files/link?content=true"] {
                let answer = try await place.authorized(.GET, target)
                #expect(answer.status == 403, "\(target): \(answer.body)")
            }
            for path in [secret, "link", place.path + "/new"] {
                let body = #"{"path":"\#(path)","content":"overwritten"}"#
                let answer = try await place.authorized(.POST, "/files", body: body)
                #expect(answer.status == 403, "\(path): \(answer.body)")
            }
            #expect(try await place.authorized(.DELETE, "/files/\(secret)").status == 403)
            #expect(FileManager.default.contents(atPath: secret) == Data("root's\n".utf8))
            #expect(!FileManager.default.fileExists(atPath: place.path + "/new"))
            #expect(try await place.command("ls \(place.path)/state 2>/dev/null").exitCode != 0)
        }
    }

    @Test func theSidekickIsOutOfReach() async throws {
        try await Self.claimed { place, _ in
            let sidekick = try await place.sidekickPID()
            // The account's file threads exist from here on; a signal to one of them would be one to all.
            #expect(try await place.authorized(.GET, "/files").status == 200)
            let tried = try await place.command(
                """
                for signal in 0 TERM KILL STOP; do
                    kill -$signal $PPID 2>/dev/null && echo signalled
                    for task in /proc/$PPID/task/*; do kill -$signal ${task##*/} 2>/dev/null && echo signalled; done
                done
                cat /proc/$PPID/environ /proc/$PPID/mem 2>/dev/null
                for file in /proc/$PPID/fd/* /proc/$PPID/task/*/environ; do cat $file 2>/dev/null; done
                echo $PPID
                """)
            #expect(tried.stdout == "\(sidekick)\n")
            #expect(try await place.sidekickPID() == sidekick)
        }
    }

    /// Root without the right to change who it is: the first child would stay root.
    @Test(arguments: ["-setuid", "-setgid"]) func nothingStartsWithoutTheIdentity(_ missing: String) async throws {
        try await SidekickPlace(user: try .unprivileged()).run(
            under: ["/usr/bin/setpriv", "--bounding-set", missing]
        ) { place in
            // Nobody is given a member that does not pass this.
            let warmUp = try await place.send(.POST, "/internal/warm-up", to: place.internalListen)
            #expect(warmUp.status == 500)
            try await place.claim()
            let command = try await place.command("echo ran > trace")
            #expect(command.status == 500)
            #expect(access(place.home + "/trace", F_OK) != 0)
        }
    }

    @Test func unknownAccountIsRefusedAtTheStart() async throws {
        let place = try SidekickPlace(user: TestAccount(name: "no-such-account", uid: 1, gid: 1))
        await #expect(throws: SidekickPlace.NotReady.self) {
            try await place.run { _ in Issue.record("it became ready") }
        }
        #expect(place.log.contains { $0.contains("no-such-account") }, "\(place.log)")
    }
}
