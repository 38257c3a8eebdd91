import Foundation
import Subprocess
import Testing

/// A program of this machine, run to its end.
enum HostCommand {
    struct Failed: Error { var said: String }

    /// What it wrote to its standard output.
    @discardableResult
    static func output(_ tool: String, _ arguments: [String]) async throws -> String {
        let ended = try await Subprocess.run(
            .name(tool), arguments: Arguments(arguments), input: .none, output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 16))
        guard ended.terminationStatus.isSuccess else {
            throw Failed(said: "\(tool) \(arguments.joined(separator: " ")): \(ended.standardError)")
        }
        return ended.standardOutput
    }
}

/// Waits until something holds that other processes bring about. A minute: nobody waits that long when all is well.
func eventually(
    _ what: Comment, within patience: Duration = .seconds(60), _ condition: () async throws -> Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let deadline = ContinuousClock.now + patience
    while !(try await condition()) {
        guard ContinuousClock.now < deadline else {
            Issue.record("not in time: \(what)", sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(50))
    }
}
