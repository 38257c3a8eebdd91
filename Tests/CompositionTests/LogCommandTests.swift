import AsyncHTTPClient
import ComputeCore
import Foundation
import NIOCore
import NIOHTTP1
import Subprocess
import SystemPackage
import Testing

/// `api export`, `api rebuild` and `api retain`, beside and after the real `computesdk serve`.
struct LogCommandTests {
    @Test(.timeLimit(.minutes(2))) func theLogIsExportedBesideAServiceAndRebuiltAndRetainedAfterIt() async throws {
        let system = ServedSystem()
        let before = Exported()
        let status = try await system.run { running in
            let url = try await running.url()
            let compute = try await ServedCompute.create(system, url)
            try await follow(system, url) { try await compute.delete() }
            let all = try await api(["export"], of: system)
            #expect(all.status == .exited(0), "\(all.errors)")
            await before.set(all.lines)
            let types = try all.lines.map { try field("type", of: $0) }
            #expect(types.contains("ComputeRequested") && types.contains("ComputeEnded"), "\(types)")
            #expect(!all.output.contains(system.key) && !all.output.contains(compute.token))
            // Goes on after a line.
            let first = try field("cursor", of: try #require(all.lines.first))
            #expect(try await api(["export", "--after", first], of: system).lines == Array(all.lines.dropFirst()))
            #expect(try await api(["export", "--group", "other"], of: system).output.isEmpty)
            let bad = try await api(["export", "--after", "nonsense"], of: system)
            #expect(bad.status == .exited(1) && bad.errors.contains("cursor"), "\(bad.errors)")
            // What would change it under a service that is at work.
            for order in [["rebuild"], ["retain", "--days", "7", "--archive", "/dev/null"]] {
                let refused = try await api(order, of: system)
                #expect(refused.status == .exited(1) && !refused.errors.isEmpty, "\(order) \(refused.output)")
            }
            running.signal(SIGTERM)
        }
        #expect(status == .exited(0), "\(system.said)")
        let rebuilt = try await api(["rebuild"], of: system)
        #expect(rebuilt.status == .exited(0) && rebuilt.output.hasPrefix("read "), "\(rebuilt)")
        let archive = "\(system.dataDirectory)/archive.ndjson"
        // As a kill leaves it: nothing may be glued to half a line.
        try Data("whole\nhal".utf8).write(to: URL(fileURLWithPath: archive))
        let retained = try await api(["retain", "--days", "7", "--archive", archive], of: system)
        #expect(retained.status == .exited(0) && retained.output.contains("0 events"), "\(retained)")
        #expect(try String(contentsOfFile: archive, encoding: .utf8) == "whole\nhal\n")
        #expect(try await api(["retain", "--days", "6", "--archive", archive], of: system).status != .exited(0))
        // Neither of them touched what is there.
        let after = try await api(["export"], of: system)
        #expect(after.lines.prefix(await before.lines.count) == (await before.lines)[...])
    }

    /// A reader behind the Gateway sees what happens while it happens.
    private func follow(
        _ system: ServedSystem, _ url: String, _ act: @escaping @Sendable () async throws -> Void
    ) async throws {
        var request = HTTPClientRequest(url: "\(url)/v1/events/stream?type=ComputeEnded")
        request.headers.add(name: "authorization", value: "Bearer \(system.key)")
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        #expect(response.status == .ok)
        #expect(response.headers.first(name: "content-type") == "text/event-stream")
        var text = ""
        for try await buffer in response.body {
            // The first words come before anything happens.
            if text.isEmpty { try await act() }
            text += String(buffer: buffer)
            if text.contains("event: ComputeEnded") { break }
        }
        #expect(text.hasPrefix("retry: ") && text.contains("event: ComputeEnded"), "\(text)")
    }

    private struct Ended: CustomStringConvertible {
        var status: TerminationStatus
        var output: String
        var errors: String
        var lines: [String] { output.split(separator: "\n").map(String.init) }
        var description: String { "\(status) \(output) \(errors)" }
    }

    private func api(_ arguments: [String], of system: ServedSystem) async throws -> Ended {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let executable = URL(fileURLWithPath: own).deletingLastPathComponent().appending(path: "api")
        let result = try await Subprocess.run(
            .path(FilePath(executable.path)),
            arguments: Arguments(arguments + ["--data-dir", system.dataDirectory]),
            environment: .custom(["HOME": "/nonexistent"]), output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 16))
        return Ended(status: result.terminationStatus, output: result.standardOutput, errors: result.standardError)
    }

    private func field(_ name: String, of line: String) throws -> String {
        guard case .object(let fields) = try JSONDecoder().decode(JSONValue.self, from: Data(line.utf8)),
            case .string(let text)? = fields[name]
        else { throw Missing(name: name, line: line) }
        return text
    }

    private struct Missing: Error { var name, line: String }
}

/// What one run of the service leaves to what comes after it.
private actor Exported {
    var lines: [String] = []
    func set(_ lines: [String]) { self.lines = lines }
}
