package import LinuxHost
import Foundation

/// The images on this machine's disk, each unpacked once and shared by all that run on it.
///
///     <folder>/sha256-<hex>/image.json    what it is
///     <folder>/sha256-<hex>/rootfs/       its files
///     <folder>/references/<name>.json     which digest a reference stood for when it was last asked
///     <folder>/partial-<key>/             being made; renamed when whole, so that nobody ever sees half of one
///     <folder>/locks/<key>                held by the process that makes it; others wait
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
        switch reference.kind {
        case .base: try await buildBase(progress: progress)
        case .registry, .layout: try await fetch(reference, progress: progress)
        }
    }
}
