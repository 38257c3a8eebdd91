import ComputeCore
import ComputeRuntime
import FoundationEssentials
import Glibc
import LocalRuntime
import Testing

/// What strangers leave in a member's directory, and settings that cannot work.
@Suite struct LocalRuntimeFilesTests {
    @Test func removalFollowsNoLinkAndCopesWithModesDepthAndOddNames() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 0)
        let files = FileManager.default
        let outside = "\(world.dataDirectory)/outside"
        try files.createDirectory(atPath: outside, withIntermediateDirectories: false)
        #expect(files.createFile(atPath: "\(outside)/precious", contents: Data("x".utf8)))
        let name = MemberName.random()
        let home = "\(world.dataDirectory)/members/\(name)/home"
        try files.createDirectory(atPath: "\(home)/locked/inner", withIntermediateDirectories: true)
        #expect(files.createFile(atPath: "\(home)/locked/inner/file", contents: Data()))
        try files.createSymbolicLink(atPath: "\(home)/to-directory", withDestinationPath: outside)
        try files.createSymbolicLink(atPath: "\(home)/to-file", withDestinationPath: "\(outside)/precious")
        #expect(mkdir("\(home)/not-utf8", 0o700) == 0)
        let odd: [CChar] = Array("\(home)/not-utf8/".utf8CString.dropLast()) + [CChar(bitPattern: 0xff), 0]
        #expect(mkdir(odd, 0o700) == 0)
        var deep = home
        for _ in 0..<150 {
            deep += "/d"
            #expect(mkdir(deep, 0o700) == 0)
        }
        chmod("\(home)/locked/inner", 0)
        chmod("\(home)/locked", 0)

        try await runtime.remove(name)
        #expect(!files.fileExists(atPath: "\(world.dataDirectory)/members/\(name)"))
        #expect(files.contents(atPath: "\(outside)/precious") == Data("x".utf8))
    }

    @Test func aNameThatIsNoFileNameRemovesNothing() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try world.runtime(poolSize: 0)
        for name in ["..", ".", "", "../members", "a/b", "A"] { try await runtime.remove(MemberName(name)) }
        #expect(FileManager.default.fileExists(atPath: "\(world.dataDirectory)/members"))
    }

    @Test func aDataDirectoryThatIsTooLongForSocketsIsRefusedByName() throws {
        var settings = MachineRuntime.Settings(
            dataDirectory: "/tmp/" + String(repeating: "x", count: 80), sidekick: "/bin/true", claimKey: "", poolSize: 0
        )
        let error = #expect(throws: RuntimeError.self) {
            try MachineRuntime.process(settings, logger: LocalWorld.quiet)
        }
        #expect(error?.message.contains("COMPUTESDK_DATA_DIR") == true)
        settings.dataDirectory = "/tmp/rt-\(String.randomLabel(length: 8))"
        settings.sidekick = "/nonexistent/sidekick"
        defer { try? FileManager.default.removeItem(atPath: settings.dataDirectory) }
        let missing = #expect(throws: RuntimeError.self) {
            try MachineRuntime.process(settings, logger: LocalWorld.quiet)
        }
        #expect(missing?.message.contains("/nonexistent/sidekick") == true)
    }

    @Test(.timeLimit(.minutes(1))) func aSidekickThatEndsAtOnceIsAnHonestReason() async throws {
        let world = LocalWorld()
        defer { world.removeDataDirectory() }
        let runtime = try MachineRuntime.process(
            .init(dataDirectory: world.dataDirectory, sidekick: "/bin/false", claimKey: "", poolSize: 1),
            logger: LocalWorld.quiet)
        try await world.withRunning(runtime) {
            try await eventually { await runtime.unreadyReason()?.contains("ended before it was ready") == true }
            let error = await #expect(throws: RuntimeError.self) {
                try await runtime.startMember(.fromPool, deadline: .now + .milliseconds(50))
            }
            #expect(error?.code == .deadlineExceeded)
            try await eventually { try await runtime.places().isEmpty }
            await runtime.shutdown(keep: false)
        }
    }
}
