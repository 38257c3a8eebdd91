import ComputeCore
import NIOHTTP1
import Testing

/// A command that is kept track of, as a client holds it.
struct TrackedCommand: Sendable {
    let place: SidekickPlace
    let terminal: String
    let id: String
    let data: [String: JSONValue]

    var path: String { "/terminals/\(terminal)/commands/\(id)" }
    var channel: String { "command:\(id)" }

    func get() async throws -> CommandAnswer { CommandAnswer(try await place.authorized(.GET, path)) }

    func wait(_ query: String = "") async throws -> CommandAnswer {
        CommandAnswer(try await place.authorized(.GET, path + "/wait" + query))
    }

    func output(_ query: String = "") async throws -> [String: JSONValue] {
        try await place.authorized(.GET, path + "/output" + query).json["data"]?.members ?? [:]
    }

    func post(_ what: String, _ fields: [String: JSONValue]) async throws -> SidekickPlace.Answer {
        try await place.authorized(.POST, path + "/" + what, body: JSONValue.object(fields).line)
    }

    func delete() async throws -> Int { try await place.authorized(.DELETE, path).status }
}

extension CommandAnswer {
    var state: String? { data["status"]?.text }
}

extension SidekickPlace {
    /// Runs `body` in a claimed Sidekick of its own.
    static func claimed(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await body(place)
        }
    }

    /// Begins it with `/bin/sh`.
    /// - Parameter terminal: nil: by `/run/command`.
    func begin(
        _ command: String, _ fields: [String: JSONValue] = ["background": .bool(true)], in terminal: String? = nil
    ) async throws -> TrackedCommand {
        let path = terminal.map { "/terminals/\($0)/execute" } ?? "/run/command"
        let fields = fields.merging(["shell": .string("/bin/sh")]) { given, _ in given }
        let answer = try await authorized(.POST, path, body: Self.body(command, fields))
        try #require(answer.status == 200, "\(answer.body)")
        let data = answer.json["data"]?.members ?? [:]
        return TrackedCommand(
            place: self, terminal: try #require(data["terminal_id"]?.text), id: try #require(data["cmd_id"]?.text),
            data: data)
    }

    /// The id of a new exec terminal.
    func execTerminal(_ body: String? = nil) async throws -> String {
        let answer = try await authorized(.POST, "/terminals", body: body)
        try #require(answer.status == 201, "\(answer.body)")
        return try #require(answer.data("id"))
    }
}

extension SidekickSocket {
    /// Reads the events of a command to its exit.
    /// - Returns: its outputs, in pieces as they came, and the exit.
    func readCommand(_ channel: String) async throws -> (stdout: [String], stderr: [String], exit: Event) {
        var outputs: [String: [String]] = [:]
        while true {
            let event = try await anyEvent(before: "command:exit on \(channel)")
            guard event.channel == channel else { continue }
            switch event.type {
            case "command:stdout", "command:stderr":
                outputs[event.type, default: []].append(event.data["output"]?.text ?? "")
            case "command:exit":
                return (outputs["command:stdout"] ?? [], outputs["command:stderr"] ?? [], event)
            default: continue
            }
        }
    }
}
