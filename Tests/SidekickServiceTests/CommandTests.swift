import ComputeCore
import FoundationEssentials
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import SidekickService
import Subprocess
import Testing

/// `POST /run/command` of the real executable.
struct CommandTests {
    private static func claimed(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await body(place)
        }
    }

    @Test func outputsAndExitCodeComeBackApart() async throws {
        try await Self.claimed { place in
            let answer = try await place.command("printf out; printf err >&2; exit 7")
            #expect(answer.status == 200)
            #expect(answer.stdout == "out")
            #expect(answer.stderr == "err")
            #expect(answer.exitCode == 7)
            #expect(answer.data["command"]?.text == "printf out; printf err >&2; exit 7")
            #expect(answer.data["stdout_truncated"] == nil)
            guard case .int(let duration) = answer.data["duration_ms"] else {
                Issue.record("no duration_ms")
                return
            }
            #expect((0..<60_000).contains(duration))
            // Nothing to read: a program that asks gets the end at once.
            #expect(try await place.command("cat; echo $?").stdout == "0\n")
        }
    }

    @Test func deathBySignalIsItsNumberAbove128() async throws {
        try await Self.claimed { place in
            for signal in [SIGHUP, SIGINT, SIGABRT, SIGKILL, SIGSEGV, SIGPIPE, SIGTERM, SIGUSR1] {
                let answer = try await place.command("kill -\(signal) $$")
                #expect(answer.exitCode == 128 + Int64(signal))
            }
        }
    }

    @Test func threeHundredShortProcessesKeepTheirExitCodesAndLeaveNoZombie() async throws {
        try await Self.claimed { place in
            let sidekick = try await place.sidekickPID()
            try await withThrowingTaskGroup(of: (Int64, Int64?).self) { group in
                for number in 0..<300 {
                    if number >= 8, let (expected, code) = try await group.next() { #expect(code == expected) }
                    let expected = Int64(number % 256)
                    // One orphan may outlive its parent, the other hardly does.
                    let command = "(sleep 0.0\(number % 4) & : &) >/dev/null 2>&1; exit \(expected)"
                    group.addTask { (expected, try await place.command(command).exitCode) }
                }
                for try await (expected, code) in group { #expect(code == expected) }
            }
            try await eventually("no child left, dead or alive") { try ProcessState.children(of: sidekick).isEmpty }
        }
    }

    @Test func grandchildThatKeepsThePipeDoesNotHoldTheAnswer() async throws {
        try await Self.claimed { place in
            let silent = try await place.command("sleep 600 & echo $!")
            #expect(silent.exitCode == 0)
            let pid = try #require(silent.number)
            #expect(ProcessState(of: pid)?.isZombie == false, "it was meant to stay")
            // It ends behind the first word of the one that goes on.
            let talking = try await place.command(
                "(echo on; : > talks; while echo on; do :; done) & echo $!; while [ ! -e talks ]; do :; done; exit 3")
            #expect(talking.exitCode == 3)
            // Its output breaks when the answer is there.
            #expect(talking.stdout?.contains("on\n") == true)
        }
    }

    @Test func bytesThatAreNotTextAreReplacedAndNULStays() async throws {
        try await Self.claimed { place in
            let answer = try await place.command(#"printf 'a\377\000\303\251b\303'; printf '\200' >&2"#)
            #expect(answer.stdout == "a\u{FFFD}\0\u{E9}b\u{FFFD}")
            #expect(answer.stderr == "\u{FFFD}")
        }
    }

    @Test func largeOutputIsCutAndTheCommandGoesOn() async throws {
        try await Self.claimed { place in
            let answer = try await place.command("head -c 20000000 /dev/zero | tr '\\0' x; printf end >&2; exit 4")
            #expect(answer.stdout?.utf8.count == OutputCapture.limit)
            #expect(answer.data["stdout_truncated"] == .bool(true))
            #expect(answer.stderr == "end")
            #expect(answer.data["stderr_truncated"] == nil)
            #expect(answer.exitCode == 4)
        }
    }

    /// Else a few answers end the whole sandbox: the host counts the Sidekick's memory as the compute's.
    @Test func outputsShareWhatASmallComputeCanSpare() async throws {
        try await SidekickPlace(options: ["--memory-limit", "\(64 << 20)"]).run { place in
            try await place.claim()
            let large = "head -c 5000000 /dev/zero | tr '\\0' x"
            let shares = MemoryShares(memoryLimit: 64 << 20)
            for _ in 0..<2 {
                let answer = try await place.command(large)
                #expect(answer.stdout?.utf8.count == shares.foregroundOutput + shares.foregroundOwn)
                #expect(answer.data["stdout_truncated"] == .bool(true))
                #expect(answer.exitCode == 0)
            }
            let together = try await withThrowingTaskGroup(of: CommandAnswer.self) { group in
                for number in 0..<4 {
                    group.addTask {
                        try await place.command(
                            "\(large); : > has-written-\(number); until [ -e go ]; do sleep 0.02; done")
                    }
                }
                try await eventually("all have written") {
                    try await place.command("ls has-written-* | wc -l").stdout == "4\n"
                }
                _ = try await place.command("touch go")
                return try await group.reduce(into: [CommandAnswer]()) { $0.append($1) }
            }
            let most = shares.foregroundOutput + 4 * shares.foregroundOwn
            #expect(together.reduce(0) { $0 + ($1.stdout?.utf8.count ?? 0) } <= most)
            #expect(together.allSatisfy { $0.exitCode == 0 })
        }
    }

    @Test func longCommandIsKeptAliveWithWhiteSpace() async throws {
        try await Self.claimed { place in
            let connection = try await HTTPClientConnection.connect(to: place.listen, timeout: .seconds(30))
            // It cannot end before the test has seen the first byte.
            try await place.begin("while [ ! -e go ]; do sleep 0.02; done; echo late; exit 9", on: connection)
            let head = try await connection.receiveHead()
            #expect(head.status == .ok)
            #expect(head.headers.first(name: "Content-Type") == "application/json")
            var parts = connection.body.makeAsyncIterator()
            let first = try await parts.next()
            #expect(first.map { String(buffer: $0) } == " ")
            #expect(FileManager.default.createFile(atPath: place.home + "/go", contents: nil))
            var rest = ""
            while let part = try await parts.next() { rest += String(buffer: part) }
            await connection.close()
            let data = JSONValue.members(of: rest)["data"]?.members
            #expect(data?["stdout"]?.text == "late\n")
            #expect(data?["exit_code"] == .int(9))
        }
    }

    static let refused: [(String, String?)] = [
        ("{}", "command"), (#"{"command":null}"#, "command"), (#"{"command":5}"#, "command"),
        (#"{"command":""}"#, "command"), (#"{"command":"a\u0000b"}"#, "command"),
        (SidekickPlace.body(String(repeating: "#", count: 200_000)), "command"),
        (#"{"command":":","shell":""}"#, "shell"), (#"{"command":":","shell":["sh"]}"#, "shell"),
        (#"{"command":":","shell":"/no/such/shell"}"#, "shell"), (#"{"command":":","shell":"no-such"}"#, "shell"),
        (#"{"command":":","shell":"/etc/passwd"}"#, "shell"), (#"{"command":":","shell":"s\u0000h"}"#, "shell"),
        (#"{"command":":","cwd":""}"#, "cwd"), (#"{"command":":","cwd":1}"#, "cwd"),
        (#"{"command":":","cwd":"missing"}"#, "cwd"), (#"{"command":":","cwd":"/etc/passwd"}"#, "cwd"),
        (#"{"command":":","cwd":"a\u0000"}"#, "cwd"),
        (#"{"command":":","cwd":"/\#(String(repeating: "x", count: 300))"}"#, "cwd"),
        (#"{"command":":","env":"A=B"}"#, "env"), (#"{"command":":","env":["A"]}"#, "env"),
        (#"{"command":":","env":{"A":5}}"#, "env.A"), (#"{"command":":","env":{"A=B":"x"}}"#, "env.A=B"),
        (#"{"command":":","env":{"":"x"}}"#, "env."), (#"{"command":":","env":{"A":"\u0000"}}"#, "env.A"),
        (#"{"command":":","background":"no"}"#, "background"), (#"{"command":":","stream":1}"#, "stream"),
        (#"{"command":":","async":[]}"#, "async"), (#"{"command":":","stdin":true}"#, "stdin"),
        (#"{"command":":","stdin":7}"#, "stdin"), (#"{"command":":","timeout_ms":-1}"#, "timeout_ms"),
        (#"{"command":":","timeout_ms":1.5}"#, "timeout_ms"), (#"{"command":":","timeout_ms":"1"}"#, "timeout_ms"),
        (#"{"command":":","timeout_ms":1e300}"#, "timeout_ms"),
        (#"{"command":":","background":true,"cwd":"missing"}"#, "cwd"),
        (#"{"command":":","background":true,"shell":"no-such"}"#, "shell"),
        (#"{"command":":","timeout":5}"#, "timeout"), (#"{"command":":","timeout":"5s"}"#, "timeout"),
        ("[]", nil), ("{", nil),
    ]

    @Test func badFieldsAreRefusedByName() async throws {
        try await Self.claimed { place in
            for (body, field) in Self.refused {
                let answer = try await place.authorized(.POST, "/run/command", body: body)
                #expect(answer.status == 400, "\(body.prefix(80)): \(answer.body.prefix(200))")
                #expect(answer.text("field") == field, "\(body.prefix(80))")
            }
            let fields: [String: JSONValue] = [
                "background": .bool(false), "stream": .bool(false), "cwd": .null, "env": .null,
                "timeout": .null, "timeout_ms": .int(0), "stdin": .bool(false), "async": .null,
            ]
            #expect(try await place.command("pwd", fields).stdout == place.home + "\n")
            #expect(try await place.command("pwd", ["cwd": .string("/")]).stdout == "/\n")
            #expect(try await place.command("mkdir sub").exitCode == 0)
            #expect(try await place.command("pwd", ["cwd": .string("sub")]).stdout == place.home + "/sub\n")
        }
    }

    @Test func nothingOfTheSidekickComesThrough() async throws {
        try await Self.claimed { place in
            let answer = try await place.command(
                "tr '\\0' '\\n' < /proc/$$/environ",
                ["env": .object(["GREETING": .string("hi"), "EMPTY": .string("")])])
            let lines = (answer.stdout ?? "").split(separator: "\n").map(String.init)
            let names = Set(lines.compactMap { $0.split(separator: "=").first.map(String.init) })
            #expect(
                names == ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LC_CTYPE", "GREETING", "EMPTY"], "\(lines)")
            #expect(lines.contains("GREETING=hi"))
            #expect(lines.contains("HOME=" + place.home))
            // Without a word of the call's, the compute's own.
            #expect(try await place.command("echo $GREETING").stdout == "hello\n")
            // Who says what the language is, says it alone.
            let spoken = try await place.command(
                "env | grep -E '^(LANG|LC_)'", ["env": .object(["LANG": .string("C")])])
            #expect(spoken.stdout == "LANG=C\n")
            // Three descriptors, and the one that lists.
            #expect(try await place.command("ls /proc/self/fd").stdout == "0\n1\n2\n3\n")
            let signals = try await place.command("grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2 | sort -u")
            #expect(signals.stdout == "0000000000000000\n")
        }
    }

    @Test func overTheImagesVariablesComeTheComputesAndThenTheCalls() async throws {
        let file = "/tmp/image-env-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let entries = [
            "PATH=\(file).d:/usr/bin:/bin", "GREETING=of the image", "LINES=one\ntwo", "HOME=/elsewhere", "none",
            "=nameless", "TWICE=1", "TWICE=2", "SIDEKICK_MEMBER=another", "EMPTY=",
        ]
        try Data(entries.map { "\($0)\0" }.joined().utf8).write(to: URL(filePath: file))
        let member = try SidekickPlace(options: ["--image-env", file])
        try await member.run { place in
            try await place.claim()
            let answer = try await place.command(
                "tr '\\0' '\\1' < /proc/$$/environ", ["env": .object(["TWICE": .string("3")])])
            let found = Set((answer.stdout ?? "").split(separator: "\u{1}").map(String.init))
            for entry in [
                entries[0], "GREETING=hello", entries[2], "HOME=\(place.home)", "TWICE=3", entries[8], "EMPTY=",
            ] { #expect(found.contains(entry), "\(entry) in \(found)") }
            #expect(!found.contains { $0.hasPrefix("=") || $0.hasPrefix("none") })
            #expect(try await place.command("echo $TWICE").stdout == "2\n")
        }
    }

    @Test func aCommandReadsTheTextItIsGivenAndThenTheEnd() async throws {
        try await Self.claimed { place in
            let small = try await place.command("cat; echo \" $?\"", ["stdin": .string("one\ntwo \u{E9}\0")])
            #expect(small.stdout == "one\ntwo \u{E9}\0 0\n")
            // More than a pipe holds, and more than one that stops reading takes.
            let large = String(repeating: "0123456789abcdef", count: 1 << 15)
            #expect(try await place.command("wc -c", ["stdin": .string(large)]).number == Int32(large.utf8.count))
            let deaf = try await place.command("head -c 3; exit 4", ["stdin": .string(large)])
            #expect(deaf.stdout == "012")
            #expect(deaf.exitCode == 4)
        }
    }

    @Test func aCommandPastItsTimeIsEndedWithItsWholeGroup() async throws {
        try await Self.claimed { place in
            let answer = try await place.command(
                "sleep 600 & echo $!; echo before; wait", ["timeout_ms": .int(3000)])
            #expect(answer.status == 200)
            #expect(answer.exitCode == 124)
            #expect(answer.data["timed_out"] == .bool(true))
            #expect(answer.stdout?.hasSuffix("before\n") == true)
            let pid = try #require(answer.number)
            try await eventually("the end of \(pid)") { ProcessState(of: pid) == nil }
            let quick = try await place.command("exit 3", ["timeout_ms": .int(60_000)])
            #expect(quick.exitCode == 3)
            #expect(quick.data["timed_out"] == nil)
        }
    }

    @Test func theOlderRouteAlsoAnswersBothOutputsInOne() async throws {
        try await Self.claimed { place in
            let answer = try await place.authorized(
                .POST, "/execute", body: SidekickPlace.body("echo out; echo err >&2; exit 2"))
            let data = answer.json["data"]?.members ?? [:]
            #expect(data["output"]?.text == "out\nerr\n")
            #expect(data["stdout"]?.text == "out\n")
            #expect(data["stderr"]?.text == "err\n")
            #expect(data["exit_code"] == .int(2))
        }
    }

    @Test func clientThatGoesTakesTheProcessGroupAlong() async throws {
        try await Self.claimed { place in
            try await place.abandon("sleep 600 & echo $! > child; echo $$ > leader; wait")
            // Deaf to the polite signal, so it lasts until the other one.
            try await place.abandon(
                "trap '' TERM; sleep 601 & echo $! > child2; echo $$ > leader2; while :; do wait; done",
                files: ["child2", "leader2"])
            // One that goes in the middle of its body.
            let connection = try await HTTPClientConnection.connect(to: place.listen, timeout: .seconds(30))
            try await place.begin("echo never", on: connection, cut: 5)
            await connection.close()
            #expect(try await place.command("echo on").stdout == "on\n")
            #expect(place.errors == [], "a client that goes is not an error")
        }
    }
}

extension SidekickPlace {
    /// Sends the request and leaves the answer to the caller.
    /// - Parameter cut: how many bytes of the announced body are held back.
    fileprivate func begin(_ command: String, on connection: HTTPClientConnection, cut: Int = 0) async throws {
        let body = Self.body(command, ["shell": .string("/bin/sh")])
        let headers: HTTPHeaders = [
            "Host": "sidekick", "Authorization": "Bearer \(secret)", "Content-Length": "\(body.utf8.count)",
        ]
        try await connection.sendHead(
            HTTPRequestHead(version: .http1_1, method: .POST, uri: "/run/command", headers: headers))
        try await connection.sendBody(ByteBuffer(bytes: body.utf8.dropLast(cut)))
        if cut == 0 { try await connection.finish() }
    }

    /// Starts a command that writes its processes' numbers, hangs up, and waits for all of them to be gone.
    fileprivate func abandon(_ command: String, files: [String] = ["child", "leader"]) async throws {
        let connection = try await HTTPClientConnection.connect(to: listen, timeout: .seconds(30))
        try await begin(command, on: connection)
        var pids: [Int32] = []
        for file in files { pids.append(try await numberWritten(to: file)) }
        await connection.close()
        for pid in pids { try await eventually("the end of \(pid)") { ProcessState(of: pid) == nil } }
    }
}
