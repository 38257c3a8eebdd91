import ComputeCore
import ComputeRuntime
import FoundationEssentials
import LocalRuntime
import Testing

/// Every program that a start needs goes wrong in every way, in the middle of it.
// Skipped where nobody is root or there is no runsc.
@Suite(.enabled(if: !GVisorBuild.available.isEmpty), .serialized)
struct FailingHelperGVisorTests {
    @Test(.timeLimit(.minutes(6)), arguments: ["runsc", "bridge", "mount"])
    func aHelperThatGoesWrongLeavesNothingAndTheNextStartWorks(_ tool: String) async throws {
        let build = try #require(GVisorBuild.available.first)
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let tools = try FailingTools(
            in: world.dataDirectory, tools: [build.runsc, "ip", "mount", "nft"], plugins: ["bridge", "host-local"])
        let failing = GVisorBuild(runsc: "\(tools.path)/runsc", platform: build.platform)
        let runtime = try await world.runtime(failing, poolSize: 0) { settings in
            settings.searchPath = tools.path + ":/usr/sbin:/usr/bin:/sbin:/bin"
            settings.pluginDirectories = [tools.plugins]
            // Each start lays its own ground, with the tools as they are then.
            settings.groundsAhead = 0
        }
        // Beside the pool, whose backoff after failures is another matter.
        let order = MemberOrder(resources: ComputeResources(cpus: 1))
        try await world.local.withRunning(runtime) {
            try await eventually(.seconds(60)) { await runtime.unreadyReason() == nil }
            for fault in FailingTools.Fault.allCases {
                try tools.set(fault, of: tool)
                let patience: Duration = fault == .hangs ? .seconds(3) : .seconds(30)
                await #expect(throws: RuntimeError.self, "\(tool) \(fault)") {
                    try await runtime.startMember(order, deadline: .now + patience)
                }
                try tools.set(nil, of: tool)
                // At once, or by the look for strays where the helper is needed for cleaning up too.
                try await eventually(.seconds(90)) { world.members == [] }
                let member = try await runtime.startMember(order, deadline: .now + .seconds(60))
                #expect(await world.listens(member), "after \(tool) \(fault)")
                try await runtime.remove(member.name)
                // The kernel lets go of a disk's loop device with its last user, which may be the end of a process.
                try await eventually { world.members == [] }
            }
            await runtime.shutdown(keep: false)
        }
        #expect(try await world.left() == [] && world.ground == [])
    }

    /// Needed once, before the first start.
    @Test(.timeLimit(.minutes(2)), arguments: ["nft", "ip"], [FailingTools.Fault.fails, .isKilled])
    func withoutAFirewallOrABridgeNothingStarts(_ tool: String, _ fault: FailingTools.Fault) async throws {
        let build = try #require(GVisorBuild.available.first)
        let world = GVisorWorld()
        defer { world.local.removeDataDirectory() }
        let tools = try FailingTools(in: world.dataDirectory, tools: ["nft", "ip"], plugins: [])
        let change: @Sendable (inout GVisorSettings) -> Void = {
            $0.searchPath = tools.path + ":/usr/sbin:/usr/bin:/sbin:/bin"
        }
        let first = try await world.runtime(build, poolSize: 1, change)
        try tools.set(fault, of: tool)
        await #expect(throws: RuntimeError.self) { try await first.run() }
        #expect(await first.unreadyReason() != nil)
        try tools.set(nil, of: tool)
        await first.shutdown(keep: false)
        #expect(try await world.left() == [] && world.ground == [])
        #expect(try await !world.hasTable())

        let second = try await world.runtime(build, poolSize: 1, change)
        try await world.local.withRunning(second) {
            try await eventually(.seconds(60)) { second.idleCount == 1 }
            await second.shutdown(keep: false)
        }
        #expect(try await world.left() == [] && world.ground == [])
    }
}
