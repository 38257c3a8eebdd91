import ArgumentParser
import Foundation
import LinuxHost
import LocalRuntime
import OCIImages
import UnixSignals

/// `computesdk image`: what computes run, on this machine's disk.
struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "The images that computes run, on this machine's disk.",
        subcommands: [
            ListImagesCommand.self, PullImageCommand.self, BuildImageCommand.self, RemoveImageCommand.self,
        ])
}

struct ListImagesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Show every image that is there.")
    @OptionGroup var flags: SettingFlags

    func run() async throws {
        try await withStore(flags) { store, _ in
            for image in store.list() {
                print("\(image.digest)  \(String(image.sizeBytes >> 20).leftPadded(to: 6)) MiB  \(image.reference)")
            }
        }
    }
}

struct PullImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Fetch an image: base, a registry's such as python:3.12-slim, or an OCI layout oci:/folder[:tag].",
        discussion: "A tag that is there already is asked for again, and followed where it has moved.")
    @Argument var reference: String
    @OptionGroup var flags: SettingFlags

    func run() async throws {
        try await withStore(flags) { store, _ in
            print(try await store.pull(ImageReference(reference), progress: progressLine()).digest)
        }
    }
}

struct BuildImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build", abstract: "Build the base image, unless it is there. Takes a minute or two.")
    @OptionGroup var flags: SettingFlags

    func run() async throws {
        try await withStore(flags) { store, _ in
            print(try await store.resolve(.base, progress: progressLine()).digest)
        }
    }
}

struct RemoveImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove an image that nothing runs on.")
    @Argument(help: "Its digest, or what it was fetched by.") var image: String
    @OptionGroup var flags: SettingFlags

    func run() async throws {
        try await withStore(flags) { store, settings in
            var digest: String? = image
            if !image.hasPrefix("sha256:") { digest = store.stored(try ImageReference(image))?.digest }
            let missing = ImageError(.notFound, "there is no image \(image)")
            guard let digest else { throw missing }
            guard !MachineRuntime.imagesOfKeptDisks(below: settings.dataDirectory).contains(digest) else {
                throw ImageError(.inUse, "the image is in use: the disk of a stopped compute stands on it")
            }
            guard try await store.remove(digest: digest) else { throw missing }
            print(digest)
        }
    }
}

/// With the store of the settings. A signal gives the work up in order, so that nothing half made is left.
private func withStore(
    _ flags: SettingFlags, _ body: @escaping @Sendable (ImageStore, ServiceSettings) async throws -> Void
) async throws {
    try await start(flags) { settings, signals in
        let store = ImageStore(folder: settings.gvisor.imageDirectory, tools: .ofThisProcess)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await store.removeLeftovers()
                try await body(store, settings)
            }
            group.addTask {
                for await _ in signals { throw ImageError(.cancelled, "stopped by a signal") }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

private func progressLine() -> ImageProgress.Report {
    let line = PreparationProgress { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
    return { line.report($0.phase, $0.fraction) }
}

extension String {
    fileprivate func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
