import Foundation
import Glibc
import LinuxHost
import OCIImages
import Testing

/// A store whose tools are scripts of the test, so that they hang and fail when it wants them to.
@Suite(.enabled(if: geteuid() == 0), .timeLimit(.minutes(3))) struct InterruptionTests {
    private func images(mmdebstrap script: String) throws -> TestImages {
        try TestImages(mmdebstrap: "\(Self.target)\n\(script)")
    }

    /// The target is the argument that ends in /rootfs.
    private static let target = #"for word in "$@"; do case $word in */rootfs) target=$word ;; esac; done"#

    private func partial(_ images: TestImages) -> String {
        "\(images.store.folder)/partial-sha256-" + BaseRecipe.ofThisMachine.digest.dropFirst(7)
    }

    @Test func aBuiltBaseImageIsPutInPlaceWhole() async throws {
        let images = try images(
            mmdebstrap: "mkdir -p $target/dev $target/etc; mknod $target/dev/null c 1 3; : >$target/etc/x")
        defer { images.remove() }
        let image = try await images.store.resolve(.base)
        #expect(exists("\(image.rootfs)/etc/x") && !exists("\(image.rootfs)/dev/null"))
        #expect(mode(image.rootfs) == 0o755)
        #expect(image.user == "user" && image.workingDirectory == "/home/user")
        #expect(images.store.stored(.base) == image)
        #expect(!exists(partial(images)))
    }

    @Test func aFailedBuildSaysWhatWasSaidAndLeavesNothing() async throws {
        let images = try images(mmdebstrap: "mkdir -p $target; echo 'E: the mirror is gone' >&2; exit 1")
        defer { images.remove() }
        let error = await #expect(throws: ImageError.self) { try await images.store.resolve(.base) }
        #expect(error?.description.contains("the mirror is gone") == true)
        #expect(images.left == [])
    }

    @Test func aBuildThatIsGivenUpEndsWithAllItsProcesses() async throws {
        let marker = "7\(UInt32.random(in: 100_000...999_999))"
        let images = try images(
            mmdebstrap: "mkdir -p $target; setsid sleep \(marker) & : >$target/started; sleep \(marker)")
        defer { images.remove() }
        let build = Task { try await images.store.resolve(.base) }
        #expect(try await eventually { exists("\(partial(images))/rootfs/started") })
        build.cancel()
        let result = await build.result
        #expect(throws: ImageError.self) { try result.get() }
        #expect(images.left == [])
        // Also the one in a session of its own.
        let tools = TestImages.tools
        #expect(
            try await tools.run("sh", ["-c", "pgrep -f '^sleep \(marker)' || echo none"]).standardOutput == "none\n")
    }

    /// What a killed process leaves: a half-made folder and tools that go on writing to it.
    @Test func leftoversOfAKilledProcessAreEndedAndRemovedBeforeTheNextBuild() async throws {
        let images = try images(mmdebstrap: "mkdir -p $target; : >$target/whole")
        defer { images.remove() }
        let partial = partial(images)
        try FileManager.default.createDirectory(atPath: "\(partial)/rootfs", withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: "\(partial)/rootfs/half"))
        let writer = Task {
            try await TestImages.tools.run(
                "sh", ["-c", "while :; do mkdir -p $1/rootfs; : >$1/rootfs/alive; sleep 0.05; done", "sh", partial],
                deadline: .seconds(120))
        }
        defer { writer.cancel() }
        #expect(try await eventually { exists("\(partial)/rootfs/alive") })

        let image = try await images.store.resolve(.base)
        #expect(exists("\(image.rootfs)/whole") && !exists("\(image.rootfs)/half"))
        let ended = await writer.result
        let error = #expect(throws: ToolError.self) { try ended.get() }
        #expect(error?.code == .failed)
        #expect(!exists(partial))
    }

    @Test func whatAnotherProcessIsMakingIsLeftAlone() async throws {
        let images = try images(
            mmdebstrap: "mkdir -p $target; : >$target/started; while [ ! -e $target/go ]; do sleep 0.05; done")
        defer { images.remove() }
        let rootfs = "\(partial(images))/rootfs"
        let build = Task { try await images.store.resolve(.base) }
        #expect(try await eventually { exists("\(rootfs)/started") })
        await images.store.removeLeftovers()
        #expect(exists("\(rootfs)/started"))
        let second = Task { try await images.store.resolve(.base) }
        try Data().write(to: URL(fileURLWithPath: "\(rootfs)/go"))
        #expect(try await build.value == second.value)
    }

    @Test func abandonedFoldersAreRemoved() async throws {
        let images = try images(mmdebstrap: "exit 1")
        defer { images.remove() }
        try FileManager.default.createDirectory(atPath: "\(partial(images))/rootfs", withIntermediateDirectories: true)
        await images.store.removeLeftovers()
        #expect(images.left == [])
    }
}
