import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Testing

/// `sudo` inside a compute: the executable under that name, and the Sidekick that serves it. Only root has root to lend.
@Suite(.enabled(if: geteuid() == 0, "only root can become another account"), .timeLimit(.minutes(2)))
struct SudoTests {
    /// A compute with `sudo`, whose socket and executable are in a folder of their own.
    private struct Place: Sendable {
        let sidekick: SidekickPlace
        let account: TestAccount
        let folder: String

        /// `SUDO` in the text becomes the executable.
        func callAsFunction(_ text: String) async throws -> CommandAnswer {
            let command = text.replacing("SUDO ", with: "\(folder)/sudo ")
            return try await sidekick.command("export SIDEKICK_SUDO_SOCKET=\(folder)/sudo.sock; \(command)")
        }

        /// Connections of this process, which is root, that have said nothing.
        func withConnections(_ count: Int, _ body: ([Int32]) async throws -> Void) async throws {
            var connections: [Int32] = []
            defer { for connection in connections { close(connection) } }
            for _ in 0..<count {
                let connection = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: "\(folder)/sudo.sock".utf8) }
                let connected = withUnsafePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connect(connection, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                    }
                }
                try #require(connected == 0)
                connections.append(connection)
            }
            try await body(connections)
        }
    }

    private static func sidekick(
        claimed: Bool = true, _ body: @escaping @Sendable (Place) async throws -> Void
    ) async throws {
        let account = try TestAccount.unprivileged()
        let folder = "/tmp/sudo-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try #require(mkdir(folder, 0o755) == 0)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try #require(symlink(SidekickPlace.executable, "\(folder)/sudo") == 0)
        let sidekick = try SidekickPlace(user: account, options: ["--sudo-socket", "\(folder)/sudo.sock"])
        try await sidekick.run { sidekick in
            if claimed { try await sidekick.claim() }
            try await body(Place(sidekick: sidekick, account: account, folder: folder))
        }
    }

    @Test func whatRunsAsRootIsRefusedToThoseWhoSignalAsTheUser() async throws {
        try await Self.sidekick { sudo in
            let started = try await sudo(
                """
                SUDO sh -c 'echo $$ > pid; exec sleep 600' >/dev/null 2>&1 &
                while [ ! -s pid ]; do sleep 0.02; done; cat pid
                """)
            let pid = try #require(started.number)
            let process = ServerAnswer(try await sudo.sidekick.authorized(.GET, "/processes/\(pid)"))
            #expect(process.number("uid") == 0, "\(process.body)")
            let refused = try await sudo.sidekick.authorized(
                .POST, "/processes/\(pid)/signal", body: #"{"group":true}"#)
            #expect(refused.status == 403, "\(refused.body)")
            #expect(kill(pid, 0) == 0)
        }
    }

    @Test func commandsRunAsRootWithTheCallersStreamsAndFolder() async throws {
        try await Self.sidekick { sudo in
            let answer = try await sudo("echo in | SUDO sh -c 'id -u; id -G; pwd; cat; echo err >&2; exit 7'")
            #expect(
                answer.stdout?.hasPrefix("0\n0") == true
                    && answer.stdout?.hasSuffix("\(sudo.sidekick.home)\nin\n") == true)
            #expect(answer.stderr == "err\n")
            #expect(answer.exitCode == 7)
            #expect(try await sudo("cd /usr && SUDO pwd").stdout == "/usr\n")
            #expect(try await sudo("umask 077; SUDO sh -c umask").stdout == "0077\n")
            #expect(try await sudo("SUDO sh -c 'kill -TERM $$'").exitCode == 143)
            #expect(try await sudo("SUDO -n true <&- >&- 2>&-").exitCode == 0)
        }
    }

    @Test func theEnvironmentIsTheTargets() async throws {
        try await Self.sidekick { sudo in
            let reset = try await sudo(
                "KEY=secret LC_ALL=C SUDO A=b sh -c 'echo \"$KEY|$GREETING|$LC_ALL|$A|$HOME|$USER|$SUDO_UID|$PATH\"'")
            #expect(
                reset.stdout
                    == "||C|b|/root|root|\(sudo.account.uid)|/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
            )
            #expect(try await sudo("KEY=secret SUDO -E sh -c 'echo $KEY$GREETING'").stdout == "secrethello\n")
            #expect(try await sudo("SUDO -i pwd").stdout == "/root\n")
            #expect(try await sudo("SUDO -s echo 'a  b'").stdout == "a  b\n")
            #expect(try await sudo("SUDO -u \(sudo.account.name) id -u").number == Int32(sudo.account.uid))
        }
    }

    @Test func mistakesReadAsTheyDoElsewhere() async throws {
        try await Self.sidekick { sudo in
            let missing = try await sudo("SUDO no-such-command")
            #expect(missing.stderr == "sudo: no-such-command: command not found\n" && missing.exitCode == 1)
            let stranger = try await sudo("SUDO -u no-such-user id")
            #expect(stranger.stderr == "sudo: unknown user no-such-user\n" && stranger.exitCode == 1)
            #expect(try await sudo("SUDO ; exit $?").exitCode == 1)
            #expect(try await sudo("SUDO -v && SUDO -k && SUDO -l").exitCode == 0)
        }
    }

    @Test func otherAccountsAreRefused() async throws {
        try await Self.sidekick { sudo in
            let answer = try await sudo("cd / && SUDO -u '#4321' SIDEKICK_SUDO_SOCKET=$SIDEKICK_SUDO_SOCKET SUDO id -u")
            #expect(answer.stdout == "" && answer.exitCode == 1)
            #expect(answer.stderr == "sudo: this account may not run commands as another one\n")
            // Root may: scripts of images that run as root call it as well.
            #expect(try await sudo("SUDO SIDEKICK_SUDO_SOCKET=$SIDEKICK_SUDO_SOCKET SUDO id -u").stdout == "0\n")
        }
    }

    @Test func signalsReachTheCommand() async throws {
        try await Self.sidekick { sudo in
            let answer = try await sudo(
                """
                SUDO sh -c 'trap "echo got; exit 3" TERM; echo $$ > started; while :; do sleep 0.1; done' &
                while ! test -s started; do sleep 0.05; done
                kill -TERM $!; wait $!
                """)
            #expect(answer.stdout == "got\n" && answer.exitCode == 3, "\(answer)")
        }
    }

    @Test func aClientsDeathEndsItsCommand() async throws {
        try await Self.sidekick { sudo in
            // One that does not listen to the hang-up, too.
            for trap in ["", "trap '' HUP;"] {
                let answer = try await sudo(
                    """
                    rm -f started
                    SUDO sh -c "$1 echo \\$\\$ > started; while :; do sleep 0.1; done" >/dev/null 2>&1 &
                    while ! test -s started; do sleep 0.05; done
                    kill -KILL $!; cat started
                    """.replacing("$1", with: trap))
                let pid = try #require(answer.number)
                try await eventually("the end of \(pid)", within: .seconds(20)) { ProcessState(of: pid) == nil }
            }
        }
    }

    @Test func unclaimedNobodyIsServed() async throws {
        try await Self.sidekick(claimed: false) { sudo in
            try await sudo.withConnections(1) { connections in
                #expect(Self.answer(connections[0]).hasPrefix("E"))
            }
        }
    }

    @Test func silentConnectionsTakeNeitherTheServiceNorMoreThanTheirPlaces() async throws {
        try await Self.sidekick { sudo in
            try await sudo.withConnections(80) { connections in
                // The last ones are told at once that there is no room.
                #expect(Self.answer(connections[79]).contains("64 commands are running"))
                let refused = try await sudo("SUDO true")
                #expect(refused.stderr?.contains("64 commands are running") == true)
                #expect(try await sudo.sidekick.send(.GET, "/health").status == 200)
                #expect(try await sudo("echo served").stdout == "served\n")
            }
            try await eventually("room again", within: .seconds(20)) { try await sudo("SUDO id -u").stdout == "0\n" }
        }
    }

    @Test func messagesThatMakeNoSenseAreTurnedAway() async throws {
        try await Self.sidekick { sudo in
            for bytes: [UInt8] in [[82, 0, 0, 0, 0], [82, 255, 255, 255, 255], Array("GET / HTTP/1.1\r\n\r\n".utf8)] {
                try await sudo.withConnections(1) { connections in
                    _ = send(connections[0], bytes, bytes.count, Int32(MSG_NOSIGNAL))
                    #expect(Self.answer(connections[0]).contains("not understood"), "\(bytes)")
                }
            }
            #expect(try await sudo("SUDO id -u").stdout == "0\n")
        }
    }

    /// Everything until the Sidekick closes.
    private static func answer(_ connection: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 2048)
        let count = recv(connection, &bytes, bytes.count, Int32(MSG_WAITALL))
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
