import Glibc
import LinuxHost
import Testing

@Suite(.timeLimit(.minutes(1))) struct ToolsTests {
    private let tools = Tools.ofThisProcess

    @Test func outputAndInputPassThrough() async throws {
        let output = try await tools.run("sh", ["-c", "cat; echo oops >&2"], input: "hello")
        #expect(output.standardOutput == "hello")
        #expect(output.standardError == "oops\n")
    }

    @Test func failuresNameTheToolAndWhatItSaid() async throws {
        let error = await #expect(throws: ToolError.self) { try await tools.run("sh", ["-c", "echo bad >&2; exit 3"]) }
        #expect(error?.code == .failed)
        #expect(error?.description.contains("bad") == true)
        let missing = await #expect(throws: ToolError.self) { try await tools.run("no-such-program", []) }
        #expect(missing?.code == .missing)
    }

    @Test func aHangingToolIsKilledWithItsChildren() async throws {
        let marker = "3\(UInt32.random(in: 100_000...999_999))"
        let error = await #expect(throws: ToolError.self) {
            try await tools.run("sh", ["-c", "sleep \(marker) & sleep \(marker)"], deadline: .milliseconds(200))
        }
        #expect(error?.code == .deadlineExceeded)
        // What is killed is gone a moment later.
        let end = ContinuousClock.now + .seconds(20)
        while (try? await tools.run("pgrep", ["-f", "sleep \(marker)"])) != nil, ContinuousClock.now < end {}
        await #expect(throws: ToolError.self) { try await tools.run("pgrep", ["-f", "sleep \(marker)"]) }
    }

    @Test func nothingOfOurEnvironmentIsHandedOn() async throws {
        let output = try await tools.run("env", [])
        let names = Set(output.standardOutput.split(separator: "\n").compactMap { $0.split(separator: "=").first })
        #expect(names.isSubset(of: ["PATH", "LC_ALL", "PWD", "SHLVL", "_"]))
    }

    @Test func aToolThatDoesNotReadItsInputIsNoHarm() async throws {
        // More than a pipe holds, so that whoever writes to one would still be writing when the reader is gone.
        let input = String(repeating: "x", count: 1 << 20)
        for _ in 0..<20 { try await tools.run("true", [], input: input) }
        #expect(try await tools.run("wc", ["-c"], input: input).standardOutput == "1048576\n")
    }
}
