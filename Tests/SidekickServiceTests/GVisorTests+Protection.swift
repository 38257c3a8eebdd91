import ComputeCore
import NIOHTTP1
import Testing

/// What user code inside cannot do to the Sidekick, or with the memory and the process numbers of the compute.
extension GVisorTests {
    @Test func memoryHogsDieInsideASandbox() async throws {
        try await sidekick(user: .unprivileged(), options: ["--memory-limit", "\(192 << 20)"]) { place in
            try await place.memoryHogsDie()
            // Files in memory count as well, and can be removed when they have filled it.
            let full = try await place.command("head -c 215000000 /dev/zero > /tmp/file; sleep 600")
            #expect(full.exitCode == 137, "\(full)")
            let removal = try await place.command("rm /tmp/file && echo removed")
            #expect(removal.stdout == "removed\n", "\(removal) \(place.log)")
            #expect(try await place.command("head -c 50000000 /dev/zero > /tmp/file && echo room").stdout == "room\n")
        }
    }

    @Test func forkBombStaysWithinItsLimit() async throws {
        try await sidekick(user: .unprivileged(), options: ["--max-processes", "40"]) { place in
            let bomb = try await place.command(
                "i=0; while [ $i -lt 80 ]; do sleep 600 & i=$((i + 1)); done; echo never")
            #expect(bomb.stdout == "" && bomb.exitCode != 0, "\(bomb)")
            #expect(bomb.stderr?.contains("fork") == true, "\(bomb)")
            #expect(try await place.send(.GET, "/health").status == 200)
            let body = #"{"path":"f","content":"x"}"#
            #expect(try await place.authorized(.POST, "/files", body: body).status == 201)
        }
    }

    @Test func theSidekickIsOutOfReachInside() async throws {
        try await sidekick(user: .unprivileged()) { place in
            let tried = try await place.command(
                """
                for signal in 0 TERM KILL STOP; do kill -$signal 1 2>/dev/null && echo signalled; done
                cat /proc/1/mem 2>/dev/null && echo mem
                cat \(place.path)/state/* 2>/dev/null && echo state
                for fd in /proc/1/fd/*; do head -c 65536 $fd </dev/null 2>/dev/null & done; wait
                cat /proc/1/environ /proc/1/cmdline /proc/1/maps /proc/1/task/*/environ 2>/dev/null
                """)
            let said = tried.stdout ?? ""
            for word in ["signalled", "mem\n", "state\n", place.secret] {
                #expect(!said.contains(word), "\(word): \(said.prefix(2000))")
            }
            #expect(try await place.send(.GET, "/health").status == 200)
        }
    }

    @Test func itsPortsCannotBeTaken() async throws {
        try await sidekick(user: .unprivileged()) { place in
            for endpoint in [place.listen, place.internalListen] {
                guard case .tcp(_, let port) = endpoint else {
                    Issue.record("\(endpoint)")
                    continue
                }
                // Both options that let addresses be shared, on the address itself and on all of them.
                let script = """
                    use Socket; for my $address (INADDR_LOOPBACK, INADDR_ANY) { for my $option (SO_REUSEADDR, 15) {
                    socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, $option, 1);
                    if (bind($s, sockaddr_in(\(port), $address)) && listen($s, 5)) { print "taken" } else { print "no " } } }
                    """
                let answer = try await place.command("perl -e '\(script)'")
                #expect(answer.stdout == "no no no no ", "\(answer)")
            }
        }
    }

    @Test func anEmptyImageServesFilesAndSaysThatItHasNoShell() async throws {
        let account = TestAccount(name: "user", uid: 1000, gid: 1000)
        try await sidekick(user: account, bare: true) { place in
            let answer = try await place.authorized(.POST, "/run/command", body: SidekickPlace.body("echo"))
            #expect(answer.status == 409)
            #expect(answer.text("field") == "shell")
            #expect(answer.text("message")?.contains("/bin/sh") == true)
            #expect(try await place.authorized(.POST, "/files", body: #"{"path":"f","content":"x"}"#).status == 201)
            #expect(try await place.authorized(.GET, "/files/f?content=true").text("content") == "x")
        }
    }
}
