import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Testing

/// The `data` of an answer to `POST /run/command`.
struct CommandAnswer: Sendable {
    let status: Int
    let data: [String: JSONValue]

    init(_ answer: SidekickPlace.Answer) {
        status = answer.status
        data = answer.json["data"]?.members ?? [:]
    }

    var stdout: String? { data["stdout"]?.text }
    var stderr: String? { data["stderr"]?.text }
    var exitCode: Int64? {
        guard case .int(let code) = data["exit_code"] else { return nil }
        return code
    }
    /// What a command printed for us to know.
    var number: Int32? { stdout.flatMap { Int32($0.split(separator: "\n").first ?? "") } }
}

extension SidekickPlace {
    static func body(_ command: String, _ fields: [String: JSONValue] = [:]) -> String {
        JSONValue.object(fields.merging(["command": .string(command)]) { given, _ in given }).line
    }

    /// Runs it to its end with `/bin/sh`.
    func command(_ command: String, _ fields: [String: JSONValue] = [:]) async throws -> CommandAnswer {
        let fields = fields.merging(["shell": .string("/bin/sh")]) { given, _ in given }
        return CommandAnswer(try await authorized(.POST, "/run/command", body: Self.body(command, fields)))
    }

    /// Of the sandbox, without the shells that wait for a command: the shell that counts is one, the Sidekick another, and
    /// zombies would count as well.
    func processCount() async throws -> Int32? {
        try await command(
            "set -- /proc/[0-9]*; n=$#; for p; do grep -q 'waits for the nex[t]' $p/cmdline && n=$((n-1)); done; echo $n"
        ).number
    }

    /// The process that is tested: the parent of what it runs.
    func sidekickPID() async throws -> Int32 {
        let answer = try await command("echo $PPID")
        return try #require(answer.number)
    }

    /// The number in a file of the home, once it is there.
    func numberWritten(to name: String) async throws -> Int32 {
        var number: Int32?
        try await eventually("a number in \(name)") {
            let bytes = FileManager.default.contents(atPath: home + "/" + name) ?? Data()
            // With its newline, or it may be half of one.
            guard bytes.last == UInt8(ascii: "\n") else { return false }
            number = Int32(String(decoding: bytes.dropLast(), as: UTF8.self))
            return number != nil
        }
        return try #require(number)
    }
}
