import Foundation
import Glibc
import LinuxHost
import OCIImages
import Testing

@Suite(.enabled(if: TestImages.arePossible), .timeLimit(.minutes(3))) struct LayoutTests {
    @Test func layersWhiteoutsModesAndConfigurationArriveAsTheyAre() async throws {
        let images = try TestImages()
        defer { images.remove() }
        try await images.layout(
            configuration: [
                "--config.env", "GREETING=hello world", "--config.workingdir", "/srv", "--config.user", "7:8",
                "--config.entrypoint", "/bin/tool", "--config.cmd", "now",
            ],
            layers: [
                """
                mkdir -p etc bin opaque; echo old >etc/kept; echo old >etc/changed; echo old >etc/gone
                echo old >opaque/gone; echo tool >bin/tool; chown 7:8 bin/tool; chmod 6755 bin/tool; ln -s kept etc/link
                """,
                """
                mkdir -p etc opaque; echo new >etc/changed; : >etc/.wh.gone; : >opaque/.wh..wh..opq; echo new >opaque/new
                mknod zero c 1 5
                """,
            ])
        let image = try await images.store.resolve(images.reference())

        #expect(contents("\(image.rootfs)/etc/kept") == "old\n")
        #expect(contents("\(image.rootfs)/etc/changed") == "new\n")
        #expect(contents("\(image.rootfs)/etc/link") == "old\n")
        #expect(contents("\(image.rootfs)/opaque/new") == "new\n")
        for gone in ["etc/gone", "etc/.wh.gone", "opaque/gone", "opaque/.wh..wh..opq", "zero"] {
            #expect(!exists("\(image.rootfs)/\(gone)"), "\(gone)")
        }
        #expect(mode("\(image.rootfs)/bin/tool") == 0o6755)
        var status = stat()
        #expect(lstat("\(image.rootfs)/bin/tool", &status) == 0 && status.st_uid == 7 && status.st_gid == 8)
        #expect(image.environment.contains("GREETING=hello world"))
        #expect(image.workingDirectory == "/srv")
        #expect(image.user == "7:8")
        #expect(image.entrypoint == ["/bin/tool"] && image.command == ["now"])
        #expect(image.sizeBytes > 0)
        #expect(images.store.list() == [image])
        #expect(images.left == ["references", image.rootfs.split(separator: "/").suffix(2).first.map(String.init)])
        // Setuid programs of strangers are in there.
        #expect(mode(images.store.folder) == 0o700)
    }

    @Test func whatIsThereIsNotAskedForAgain() async throws {
        let images = try TestImages()
        defer { images.remove() }
        try await images.layout(layers: ["echo 1 >file"])
        let first = try await images.store.resolve(images.reference())
        try FileManager.default.removeItem(atPath: "\(images.folder)/layout")
        #expect(try await images.store.resolve(images.reference()) == first)
        let error = await #expect(throws: ImageError.self) { try await images.store.pull(images.reference()) }
        #expect(error?.code == .notFound)
        #expect(try await images.store.remove(digest: first.digest))
        #expect(try await !images.store.remove(digest: first.digest))
        #expect(images.left == ["references"])
    }

    @Test func theSameImageIsFetchedOnceHoweverManyAskForIt() async throws {
        let images = try TestImages()
        defer { images.remove() }
        try await images.layout(layers: ["echo 1 >file"])
        let unpacked = Counter()
        try await withThrowingTaskGroup(of: StoredImage.self) { group in
            for _ in 0..<4 {
                let store = ImageStore(folder: images.store.folder, tools: TestImages.tools)
                let reference = try images.reference()
                group.addTask {
                    try await store.resolve(reference) { progress in
                        if progress.phase.hasPrefix("unpacking") { unpacked.increment() }
                    }
                }
            }
            let digests = try await group.reduce(into: Set<String>()) { $0.insert($1.digest) }
            #expect(digests.count == 1)
        }
        #expect(unpacked.value == 1)
    }

    /// Every way by which archives have been led out of the folder that they are unpacked to.
    @Test(arguments: [
        "echo x >file; tar -Pcf layer.tar --transform 's,^file,../../../../../../../../$ESCAPE,' file",
        "echo x >file; tar -Pcf layer.tar --transform 's,^file,/$ESCAPE,' file",
        "ln -s /tmp link; tar -cf layer.tar link; rm link; mkdir link; echo x >link/$NAME; tar -rf layer.tar link/$NAME",
        "ln -s ../../../../../../../../../tmp link; tar -cf layer.tar link; rm link; mkdir link; echo x >link/$NAME; tar -rf layer.tar link/$NAME",
    ]) func noLayerWritesOutsideItsImage(script: String) async throws {
        let images = try TestImages()
        defer { images.remove() }
        let name = "escaped-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: "/tmp/\(name)") }
        let layer = script.replacing("$ESCAPE", with: "tmp/\(name)").replacing("$NAME", with: name)
        try await images.layout(layers: [layer])
        // Refused, or kept inside.
        _ = try? await images.store.resolve(images.reference())
        #expect(!exists("/tmp/\(name)"))
    }

    @Test func aHardLinkReachesNoFileOfTheMachine() async throws {
        let images = try TestImages()
        defer { images.remove() }
        try Data("secret".utf8).write(to: URL(fileURLWithPath: "\(images.folder)/secret"))
        try await images.layout(layers: [
            "echo x >a; ln a b; tar -Pcf layer.tar --transform 'flags=h;s,^a$,../../../../../../../..\(images.folder)/secret,' a b"
        ])
        if let image = try? await images.store.resolve(images.reference()) {
            #expect(contents("\(image.rootfs)/b") != "secret")
        }
        var status = stat()
        #expect(stat("\(images.folder)/secret", &status) == 0 && status.st_nlink == 1)
    }

    @Test func anImageThatIsTooLargeIsGivenUpAndLeavesNothing() async throws {
        var limits = ImageLimits()
        limits.sizeBytes = 8 << 20
        let images = try TestImages(limits: limits)
        defer { images.remove() }
        // 64 MiB of zeros are 64 KiB to fetch.
        try await images.layout(layers: ["head -c 67108864 /dev/zero >zeros"])
        let error = await #expect(throws: ImageError.self) { try await images.store.resolve(images.reference()) }
        #expect(error?.code == .tooLarge)
        #expect(images.left == [])
    }

    @Test func anImageWithTooManyFilesIsGivenUp() async throws {
        var limits = ImageLimits()
        limits.entries = 100
        let images = try TestImages(limits: limits)
        defer { images.remove() }
        try await images.layout(layers: ["seq 1 200 | while read -r n; do : >f$n; done"])
        let error = await #expect(throws: ImageError.self) { try await images.store.resolve(images.reference()) }
        #expect(error?.code == .tooLarge)
        #expect(images.left == [])
    }

    @Test func aFullDiskIsSaidBeforeAnythingIsFetched() async throws {
        var limits = ImageLimits()
        limits.freeBytes = .max / 2
        let images = try TestImages(limits: limits)
        defer { images.remove() }
        try await images.layout(layers: ["echo 1 >file"])
        let error = await #expect(throws: ImageError.self) { try await images.store.resolve(images.reference()) }
        #expect(error?.code == .noSpace)
        #expect(images.left == [])
    }

    @Test func anImageForAnotherMachineIsRefused() async throws {
        let images = try TestImages()
        defer { images.remove() }
        try await images.layout(configuration: ["--architecture", "s390x"], layers: ["echo 1 >file"])
        let error = await #expect(throws: ImageError.self) { try await images.store.resolve(images.reference()) }
        #expect(error?.code == .unsupported)
        #expect(images.left == [])
    }

    @Test func aDamagedLayerIsNeverSeen() async throws {
        let images = try TestImages()
        defer { images.remove() }
        try await images.layout(layers: ["head -c 100000 /dev/urandom >file"])
        try await images.shell(
            "f=$(ls -S $D/layout/blobs/sha256/* | head -n 1); printf XXXX | dd of=$f bs=1 seek=500 conv=notrunc 2>/dev/null"
        )
        await #expect(throws: ImageError.self) { try await images.store.resolve(images.reference()) }
        #expect(images.left == [])
    }

    @Test func anImageInUseIsNotRemoved() async throws {
        let images = try TestImages()
        defer { images.remove() }
        try await images.layout(layers: ["echo 1 >file"])
        let image = try await images.store.resolve(images.reference())
        try await images.shell("mkdir $D/place; mount --bind $1 $D/place", image.rootfs)
        let error = await #expect(throws: ImageError.self) { try await images.store.remove(digest: image.digest) }
        try await images.shell("umount $D/place")
        #expect(error?.code == .inUse)
        #expect(try await images.store.remove(digest: image.digest))
    }
}
