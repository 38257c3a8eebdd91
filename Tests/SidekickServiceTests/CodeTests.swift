import ComputeCore
import FoundationEssentials
import NIOHTTP1
import Testing

/// `POST /run/code` of the real executable (contract §1.5).
struct CodeTests {
    private static func code(_ place: SidekickPlace, _ fields: [String: JSONValue]) async throws -> CommandAnswer {
        CommandAnswer(try await place.authorized(.POST, "/run/code", body: JSONValue.object(fields).line))
    }

    @Test func codeRunsInItsLanguageAndBothOutputsComeJoined() async throws {
        try await SidekickPlace.claimed { place in
            for language in ["sh", "bash", "shell"] {
                let answer = try await Self.code(
                    place, ["code": .string("echo err >&2; echo out; exit 3"), "language": .string(language)])
                #expect(answer.status == 200)
                #expect(answer.data["output"]?.text == "out\nerr\n")
                #expect(answer.exitCode == 3)
                #expect(answer.data["language"]?.text == (language == "bash" ? "bash" : "sh"))
                #expect(answer.data["language_detected"] == nil)
            }
            let detected = try await Self.code(place, ["code": .string("echo \"$GREETING\" && pwd")])
            #expect(detected.data["output"]?.text == "hello\n\(place.home)\n")
            #expect(detected.data["language"]?.text == "sh")
            #expect(detected.data["language_detected"] == .bool(true))
        }
    }

    static let programs: [(String, String, String)] = [
        ("python", "import sys\nprint(40 + 2)\nsys.exit(5)", "python3"),
        ("node", "const x = 40 + 2; console.log(x); process.exit(5)", "node"),
        ("ruby", "puts 40 + 2\nexit 5", "ruby"), ("deno", "console.log(40 + 2); Deno.exit(5)", "deno"),
        ("bun", "console.log(40 + 2); process.exit(5)", "bun"),
    ]

    /// Small and large; what this machine does not have says so as a shell would.
    @Test(arguments: programs)
    func anInterpreterThatIsMissingIsAClearAnswer(_ language: String, _ code: String, _ program: String) async throws {
        try await SidekickPlace.claimed { place in
            let isThere = try await place.command("command -v \(program)").exitCode == 0
            let comment = language == "python" || language == "ruby" ? "#" : "//"
            let large = comment + String(repeating: "x", count: 150_000) + "\n" + code
            for text in [code, large] {
                let answer = try await Self.code(place, ["code": .string(text), "language": .string(language)])
                #expect(answer.status == 200)
                #expect(answer.data["language"]?.text == language)
                if isThere {
                    #expect(answer.exitCode == 5, "\(answer)")
                    #expect(answer.data["output"]?.text == "42\n")
                } else {
                    #expect(answer.exitCode == 127)
                    #expect(answer.data["output"]?.text?.contains("\(program)") == true)
                    #expect(answer.data["output"]?.text?.contains("PATH") == true)
                }
            }
            #expect(try await place.command("ls -A").stdout == "", "no files are left")
        }
    }

    @Test func theInterpreterIsLookedForInThePathOfTheCompute() async throws {
        try await SidekickPlace.claimed { place in
            let made = try await place.command(
                "mkdir bin; printf '#!/bin/sh\\necho \"own $1 $2\"\\n' > bin/ruby; chmod +x bin/ruby")
            #expect(made.exitCode == 0)
            let fields: [String: JSONValue] = [
                "code": .string("puts 1"), "language": .string("ruby"), "cwd": .string("/"),
                "env": .object(["PATH": .string("\(place.home)/bin:/usr/bin:/bin")]),
            ]
            #expect(try await Self.code(place, fields).data["output"]?.text == "own -e puts 1\n")
            let none = try await Self.code(place, fields.merging(["env": .object(["PATH": .string("")])]) { $1 })
            #expect(none.exitCode == 127)
        }
    }

    @Test func codePastItsTimeIsEnded() async throws {
        try await SidekickPlace.claimed { place in
            let answer = try await Self.code(
                place,
                ["code": .string("echo on; sleep 600"), "language": .string("sh"), "timeout_ms": .int(3000)])
            #expect(answer.exitCode == 124)
            #expect(answer.data["timed_out"] == .bool(true))
            #expect(answer.data["output"]?.text == "on\n")
        }
    }

    @Test func badFieldsAreRefusedByName() async throws {
        try await SidekickPlace.claimed { place in
            for (body, field) in [
                ("{}", "code"), (#"{"code":""}"#, "code"), (#"{"code":7}"#, "code"), (#"{"code":"a\u0000"}"#, "code"),
                (#"{"code":"1","language":"cobol"}"#, "language"), (#"{"code":"1","language":5}"#, "language"),
                (#"{"code":"1","cwd":"missing"}"#, "cwd"), (#"{"code":"1","env":{"A=":"1"}}"#, "env.A="),
                (#"{"code":"1","timeout_ms":"x"}"#, "timeout_ms"), ("[]", nil),
            ] as [(String, String?)] {
                let answer = try await place.authorized(.POST, "/run/code", body: body)
                #expect(answer.status == 400, "\(body): \(answer.body)")
                #expect(answer.text("field") == field, "\(body)")
            }
            let unknown = try await place.authorized(.POST, "/run/code", body: #"{"code":"1","language":"cobol"}"#)
            #expect(unknown.body.contains("python"), "it says what there is")
        }
    }
}
