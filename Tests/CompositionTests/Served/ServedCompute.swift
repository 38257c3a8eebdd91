import ComputeCore
import Foundation
import NIOCore
import Testing

/// One compute, used as a client uses it.
struct ServedCompute: Sendable {
    let system: ServedSystem
    /// Of the system.
    let url: String
    let id: String
    let token: String

    struct Outcome: Sendable, CustomStringConvertible {
        var exitCode: Int
        var stdout: String
        var stderr: String
        var description: String { "exit code \(exitCode), out: \(stdout.suffix(400)), err: \(stderr.suffix(400))" }
        /// Without the line's end.
        var line: String { stdout.trimmingCharacters(in: .whitespacesAndNewlines) }
    }

    static func create(_ system: ServedSystem, _ url: String, _ body: String = "{}") async throws -> ServedCompute {
        let made = try await system.send("POST", "\(url)/v1/sandboxes", body)
        guard made.status == 200, let id = made.text("sandboxId"), let token = made.text("token") else {
            throw Refused(made, said: system.said)
        }
        return ServedCompute(system: system, url: url, id: id, token: token)
    }

    /// Runs a command of `/bin/sh` as the compute's user.
    func run(_ command: String, timeout: TimeAmount = .seconds(60)) async throws -> Outcome {
        let body = String(decoding: try JSONEncoder().encode(["command": command]), as: UTF8.self)
        let answer = try await system.send("POST", "\(url)/s/\(id)/run/command", body, token: token, timeout: timeout)
        guard answer.status == 200, let exitCode = answer.integer("exit_code"), let stdout = answer.text("stdout"),
            let stderr = answer.text("stderr")
        else { throw Refused(answer, said: system.said) }
        return Outcome(exitCode: exitCode, stdout: stdout, stderr: stderr)
    }

    /// Runs Python, which says more exactly than a shell what a call was answered.
    func python(_ script: String, asRoot: Bool = false, timeout: TimeAmount = .seconds(60)) async throws -> Outcome {
        let root = asRoot ? try await rootPrefix() : ""
        return try await run("\(root)python3 - <<'END'\n\(script)\nEND", timeout: timeout)
    }

    /// What makes a command root's. gVisor before its `--allow-suid` takes no notice of set-user-id programs; there
    /// nobody but the Sidekick is root, and what is tried is tried as the user.
    func rootPrefix() async throws -> String {
        let tried = try await run("sudo -n id -u")
        if tried.line == "0" { return "sudo -n " }
        #expect(tried.stderr.contains("no new privileges"), "\(tried)")
        return ""
    }

    /// Its address, as the kernel would send from it; nothing is sent.
    func address() async throws -> String {
        try await python(
            """
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect(("203.0.113.1", 9))
            print(s.getsockname()[0])
            """
        ).line
    }

    /// Which of these can be connected to from inside: `address:port`.
    /// - Parameter patience: in seconds. Who is kept away from a target uses it up.
    func reachable(_ targets: [String], asRoot: Bool = false, patience: Int = 4) async throws -> [String] {
        let outcome = try await python(
            """
            import socket, threading
            def probe(target):
                host, port = target.rsplit(":", 1)
                try:
                    socket.create_connection((host, int(port)), \(patience)).close()
                    print(target + "\\n", end="", flush=True)
                except OSError:
                    pass
            threads = [threading.Thread(target=probe, args=(t,)) for t in "\(targets.joined(separator: " "))".split()]
            [t.start() for t in threads]
            [t.join() for t in threads]
            """, asRoot: asRoot)
        #expect(outcome.exitCode == 0, "\(outcome)")
        return outcome.stdout.split(separator: "\n").map(String.init).sorted()
    }

    func answers() async -> Bool {
        guard let outcome = try? await run("echo here") else { return false }
        return outcome.stdout == "here\n"
    }

    func change(_ order: String) async throws -> ServedSystem.Answer {
        try await system.send("PATCH", "\(url)/v1/sandboxes/\(id)", order)
    }

    func delete() async throws {
        _ = try await system.send("DELETE", "\(url)/v1/sandboxes/\(id)")
    }

    struct Refused: Error, CustomStringConvertible {
        var status: UInt
        var body: String
        var said = ""
        var description: String { "\(status) \(body)\n\(said)" }

        init(_ answer: ServedSystem.Answer, said: String = "") {
            status = answer.status
            body = "\(answer.body)"
            self.said = said
        }
    }
}
