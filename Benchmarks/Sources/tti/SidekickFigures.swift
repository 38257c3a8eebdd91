import Foundation
import Subprocess
import SystemPackage

/// The agent alone, on the plain kernel.
struct SidekickFigures: Encodable {
    var strippedMegabytes: Double
    /// Median of the times from exec to its line that says it listens.
    var millisecondsToListen: Double
    var idleMegabytes: Double

    static func measure(_ sidekick: String) async throws -> SidekickFigures {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "sk-\(UInt32.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let stripped = folder.appendingPathComponent("sidekick").path
        _ = try await Subprocess.run(
            .name("strip"), arguments: ["-o", stripped, sidekick], input: .none, output: .discarded, error: .discarded)
        let size = try FileManager.default.attributesOfItem(atPath: stripped)[.size] as? Int ?? 0
        var times: [Double] = []
        var resident = 0.0
        for round in 0..<20 {
            let start = ContinuousClock.now
            let outcome = try await Subprocess.run(
                .path(FilePath(stripped)),
                arguments: Arguments([
                    "--listen", "unix:\(folder.path)/\(round)-s.sock", "--internal-listen",
                    "unix:\(folder.path)/\(round)-i.sock",
                    "--member", "bench", "--claim-key", String(repeating: "A", count: 43), "--state-dir",
                    "\(folder.path)/\(round)-state", "--home", folder.path,
                ]), input: .none, output: .sequence, error: .discarded
            ) { execution in
                var elapsed: Double?
                for try await _ in execution.standardOutput.strings() {
                    elapsed = (ContinuousClock.now - start).milliseconds
                    break
                }
                if round == 0 { try await Task.sleep(for: .seconds(2)) }
                let status = try String(
                    contentsOfFile: "/proc/\(execution.processIdentifier.value)/status", encoding: .utf8)
                await execution.teardown(using: [.gracefulShutDown(allowedDurationToNextStep: .seconds(2))])
                return (elapsed, status)
            }
            guard let elapsed = outcome.closureResult.0 else {
                throw Server.Failure("the Sidekick does not start alone")
            }
            times.append(elapsed)
            if round == 0 {
                let line = outcome.closureResult.1.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
                resident = Double(line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first ?? "") ?? 0
            }
        }
        return SidekickFigures(
            strippedMegabytes: Double(size) / 1e6,
            millisecondsToListen: Statistics(times, attempted: times.count, wall: 0).median,
            idleMegabytes: resident / 1024)
    }
}
