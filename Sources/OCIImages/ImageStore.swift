import Foundation
import Glibc
package import LinuxHost

/// The images on this machine's disk, each unpacked once and shared by all that run on it.
///
///     <folder>/sha256-<hex>/image.json    what it is
///     <folder>/sha256-<hex>/rootfs/       its files
///     <folder>/references/<hex>.json      which digest a reference stood for when it was last asked
///     <folder>/partial-sha256-<hex>/      being made; renamed when whole, so that nobody ever sees half of one
///     <folder>/locks/                     held by the process that makes an image; others wait
package struct ImageStore: Sendable {
    package let folder: String
    let tools: Tools
    let limits: ImageLimits
    /// `host` or `host:port` of registries that may be asked without TLS, beside those on this machine.
    let insecureRegistries: Set<String>

    /// - Parameter folder: absolute. Made when the first image is.
    package init(
        folder: String, tools: Tools, limits: ImageLimits = ImageLimits(), insecureRegistries: Set<String> = []
    ) {
        self.folder = folder
        self.tools = tools
        self.limits = limits
        self.insecureRegistries = insecureRegistries
    }

    /// The image, from disk when it is there, without asking anybody; else fetched or built.
    package func resolve(
        _ reference: ImageReference, progress: @escaping ImageProgress.Report = { _ in }
    ) async throws(ImageError) -> StoredImage {
        if let image = stored(reference) { return image }
        return try await pull(reference, progress: progress)
    }

    /// The image as its registry or folder has it now; what is on disk already is not fetched again.
    package func pull(
        _ reference: ImageReference, progress: @escaping ImageProgress.Report = { _ in }
    ) async throws(ImageError) -> StoredImage {
        let image: StoredImage
        switch reference.kind {
        case .base: image = try await buildBase(progress: progress)
        case .registry, .layout: image = try await fetch(reference, progress: progress)
        }
        try remember(reference, image.digest)
        return image
    }

    /// What the reference stood for when it was last asked, if that is still on disk.
    package func stored(_ reference: ImageReference) -> StoredImage? {
        if reference.kind == .base { return stored(digest: BaseRecipe.ofThisMachine.digest) }
        if case .registry(let named) = reference.kind, let digest = named.digest, let image = stored(digest: digest) {
            return image
        }
        return remembered(reference).flatMap(stored(digest:))
    }

    package func stored(digest: String) -> StoredImage? {
        guard ImageDigest.isDigest(digest) else { return nil }
        return read(StoredImage.self, "\(folder)/\(ImageDigest.folderName(digest))/image.json").map { image in
            var image = image
            // The store may have been moved since.
            image.rootfs = "\(folder)/\(ImageDigest.folderName(digest))/rootfs"
            return image
        }
    }

    /// Every image that is whole, by digest.
    package func list() -> [StoredImage] {
        names().filter { $0.hasPrefix("sha256-") }.sorted()
            .compactMap { stored(digest: "sha256:" + $0.dropFirst(7)) }
    }

    /// Removes an image, unless something is mounted on it.
    /// - Returns: false when there is none.
    package func remove(digest: String) async throws(ImageError) -> Bool {
        guard ImageDigest.isDigest(digest) else {
            throw ImageError(.invalidReference, "a digest is sha256: and 64 hexadecimal digits")
        }
        return try await locked(ImageDigest.folderName(digest)) { () async throws(ImageError) -> Bool in
            guard stored(digest: digest) != nil else { return false }
            let mounts = try await run("cat", ["/proc/self/mountinfo"], doing: "what is mounted cannot be read")
            guard !mounts.contains("/\(ImageDigest.folderName(digest))/rootfs") else {
                throw ImageError(.inUse, "the image is in use")
            }
            // Out of sight at once; what is left when we are killed here goes as any leftover.
            let partial = partialFolder(digest)
            await removeLeftover(partial)
            guard rename("\(folder)/\(ImageDigest.folderName(digest))", partial) == 0 else {
                throw ImageError(.cannotRun, "the image could not be removed", cause: lastError())
            }
            await removeLeftover(partial)
            return true
        }
    }

    /// Removes what processes that were killed left half made. What is being made is left alone.
    package func removeLeftovers() async {
        for name in names() where name.hasPrefix("partial-") {
            guard let lock = try? tryLock(String(name.dropFirst("partial-".count))) else { continue }
            await removeLeftover("\(folder)/\(name)")
            close(lock)
        }
    }

    private func names() -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] }
}
