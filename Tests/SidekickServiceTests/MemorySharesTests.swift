import ComputeCore
import SidekickService
import Testing

struct MemorySharesTests {
    @Test(arguments: [16 << 20, 64 << 20, 512 << 20, 1 << 30, 2 << 30, 16 << 30, (100 << 20) + 12_345])
    func allThatIsKeptStaysBelowAQuarterOfTheCompute(limit: Int) {
        let shares = MemoryShares(memoryLimit: limit)
        #expect(shares.sum <= limit / 4, "\(shares)")
        #expect(shares.sum > limit / 5 || shares.commands == CommandLimits(), "and most of it can be had")
    }

    @Test func aComputeThatHasEnoughGetsTheFullFigures() {
        let unlimited = MemoryShares(memoryLimit: nil)
        #expect(unlimited.commands == CommandLimits())
        #expect(unlimited.foregroundOutput == 64 << 20 && unlimited.foregroundOwn == 32 << 10)
        #expect(unlimited.lingering == EventHub.maxLingeringBytes)
        #expect(unlimited.terminal == 1 << 20 && unlimited.serverStream == 256 << 10)
        let large = MemoryShares(memoryLimit: 2 << 30)
        #expect(large.commands == unlimited.commands && large.terminal == unlimited.terminal)
        #expect(large.foregroundOutput == 64 << 20)
    }

    @Test func aSmallComputeGetsTheSamePartOfEachFigure() {
        let small = MemoryShares(memoryLimit: 256 << 20)
        let half = MemoryShares(memoryLimit: 128 << 20)
        for (whole, part) in [
            (small.commands.activeBytes, half.commands.activeBytes),
            (small.commands.keptBytes, half.commands.keptBytes),
            (small.commands.capacity.lowerBound, half.commands.capacity.lowerBound),
            (small.commands.capacity.upperBound, half.commands.capacity.upperBound), (small.lingering, half.lingering),
            (small.terminal, half.terminal), (small.serverStream, half.serverStream),
            (small.foregroundOutput, half.foregroundOutput), (small.foregroundOwn, half.foregroundOwn),
        ] { #expect(abs(whole / 2 - part) <= 1) }
        #expect(small.terminal < 1 << 20)
        #expect(small.commands.active == CommandLimits().active, "how many there may be is not about memory")
    }

    /// The sum takes `mostBytes` at its word.
    @Test func noCrowdOfCommandsIsPromisedMoreThanTheirLimitsSay() {
        for limits in [CommandLimits(), MemoryShares(memoryLimit: 64 << 20).commands] {
            var table = CommandTable(limits: limits)
            var promised = 0
            for number in 0..<limits.active {
                let admission = table.admitted(
                    CommandID("\(number)"), "", in: TerminalID("\(number)"), isSingle: true, isPending: false)
                guard case .granted(let capacity) = admission else {
                    Issue.record("\(admission)")
                    return
                }
                promised += 2 * capacity
            }
            #expect(promised + limits.keptBytes <= limits.mostBytes)
        }
    }

    @Test func aSmallComputeKeepsLessOfAnOutput() async throws {
        let limit = 256 << 20
        try await SidekickPlace(options: ["--memory-limit", "\(limit)"]).run { place in
            try await place.claim()
            let command = try await place.begin("head -c 2000000 /dev/zero | tr '\\0' x")
            #expect(try await command.wait().exitCode == 0)
            let kept = MemoryShares(memoryLimit: limit).commands.capacity.upperBound
            #expect(kept < 2_000_000)
            let output = try await command.output()
            #expect(output["dropped_bytes"] == .int(Int64(2_000_000 - kept)))
        }
    }
}
