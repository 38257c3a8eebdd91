import ComputeCore
import Glibc
import NIOCore
import NIOHTTP1
import SidekickService
import Subprocess
import Testing

/// The real executable as init process of a gVisor sandbox: another kernel, with calls missing and others refused.
@Suite(.enabled(Runsc.absence) { await Runsc.found != nil }, .serialized, .timeLimit(.minutes(3)))
struct GVisorTests {
    func sidekick(
        user: TestAccount? = nil, options: [String] = [], bare: Bool = false,
        _ body: @escaping @Sendable (SidekickPlace) async throws -> Void
    ) async throws {
        var runsc: Runsc = try #require(await Runsc.found)
        runsc.isBare = bare
        let place = try SidekickPlace(in: runsc, user: user, options: options)
        // Ended by SIGTERM, it says so by its own exit code: everything that it started is gone.
        let status = try await place.run { place in
            #expect(try await place.send(.GET, "/health").text("status") == "ok")
            #expect(try await place.claim().status == 200)
            try await body(place)
        }
        #expect(status == .exited(0))
    }

    @Test func commandsEndWithTheirExitCodes() async throws {
        try await sidekick { place in
            #expect(try await place.claim(.random()).text("code") == "already_claimed")
            for (command, code) in [("true", Int64(0)), ("exit 7", 7), ("kill -9 $$", 137), ("no-such-command", 127)] {
                #expect(try await place.command(command).exitCode == code, "\(command)")
            }
            let greeting = try await place.command("read line; echo \"$GREETING $line\"; dmesg | head -1; echo no >&2")
            #expect(greeting.stdout?.hasPrefix("hello \n") == true)
            // It is gVisor, and not this machine's kernel by some mistake of the test.
            #expect(greeting.stdout?.contains("gVisor") == true)
            #expect(greeting.stderr == "no\n")
            // A process in a session of its own is there when SIGTERM comes.
            #expect(try await place.command("setsid sleep 600 >/dev/null 2>&1 &").exitCode == 0)
        }
    }

    @Test func manyCommandsWithOrphansLeaveNoZombie() async throws {
        try await sidekick { place in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<40 {
                    // Two processes outlive their parent and end on their own.
                    group.addTask {
                        let command = "(sleep 0.02 & sleep 0.01 &) >/dev/null 2>&1; exit \(number)"
                        return try await place.command(command).exitCode == Int64(number)
                    }
                    if number >= 8 { #expect(try await group.next() == true) }
                }
                for try await isRight in group { #expect(isRight) }
            }
            try await eventually("no zombie") { try await place.processCount() == 2 }
        }
    }

    @Test func filesAndCommandsHaveTheRightsOfTheUser() async throws {
        try await sidekick(user: .unprivileged()) { place in
            let uid = try await place.command("id -u; id -g").stdout
            #expect(uid == "65534\n65534\n")
            let written = try await place.authorized(
                .POST, "/files", body: #"{"path":"dir/a b","content":"h\u00e9llo"}"#)
            #expect(written.status == 201, "\(written.body)")
            #expect(try await place.authorized(.GET, "/files/dir/a%20b?content=true").text("content") == "héllo")
            // By the shell itself: this gVisor refuses the statx of newer coreutils.
            let seen = try await place.command("test -O 'dir/a b' && cat 'dir/a b'")
            #expect(seen.stdout == "héllo", "\(seen)")
            #expect(try await place.authorized(.PUT, "/files/dir/a%20b", body: #"{"content":"2"}"#).status == 200)
            let replaced = try await place.command("cat 'dir/a b'; cd dir; set -- .[!.]* *; echo \" $*\"")
            #expect(replaced.stdout == "2 .[!.]* a b\n", "\(replaced)")
            let listed = try await place.authorized(.GET, "/files?path=dir")
            #expect(listed.body.contains("a b"))

            // The Sidekick itself could read and write both.
            let state = "/files/%2F\(place.path.dropFirst())/state/claim.json"
            #expect(try await place.authorized(.GET, state + "?content=true").status == 403)
            #expect(try await place.authorized(.GET, "/files/%2Fetc%2Fshadow?content=true").status == 403)
            #expect(try await place.command("ln -s /etc/shadow link").exitCode == 0)
            #expect(try await place.authorized(.GET, "/files/link?content=true").status == 403)
            // Nor may a command signal it.
            #expect(try await place.command("kill -0 1").exitCode != 0)

            #expect(try await place.authorized(.DELETE, "/files/dir").status == 204)
            #expect(try await place.authorized(.HEAD, "/files/dir").status == 404)
            #expect(try await place.command("test ! -e dir").exitCode == 0)
        }
    }

    @Test func terminalsHaveASizeAndEchoOfTheirOwn() async throws {
        try await sidekick(user: .unprivileged()) { place in
            let created = try await place.authorized(.POST, "/terminals", body: #"{"pty":true,"shell":"/bin/sh"}"#)
            #expect(created.status == 201, "\(created.body)")
            let id = try #require(created.data("id"))
            let socket = try await SidekickSocket.open(place)
            try await socket.subscribe(id)
            try await socket.send("terminal:resize", ["terminal_id": .string(id), "cols": .int(91), "rows": .int(33)])
            try await socket.input(id, "tty; stty size; exit 5\n")
            #expect(try await socket.event("terminal:destroyed").data["exit_code"] == .int(5))
            let said = await socket.transcript
            #expect(said.contains("33 91"), "\(said)")
            #expect(said.contains("/dev/pts/"), "\(said)")
            await socket.close()
        }
    }
}

/// Polls what the world does in its own time.
private func eventually(
    within limit: Duration = .seconds(60), _ isTrue: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !isTrue() {
        try #require(ContinuousClock.now < deadline)
        try await Task.sleep(for: .milliseconds(20))
    }
}
