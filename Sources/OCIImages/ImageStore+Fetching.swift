import Foundation
import Glibc
import LinuxHost

/// Images of registries and OCI layouts: skopeo carries and checks them, umoci unpacks them.
extension ImageStore {
    func fetch(
        _ reference: ImageReference, progress: @escaping ImageProgress.Report
    ) async throws(ImageError) -> StoredImage {
        guard geteuid() == 0 else {
            throw ImageError(.cannotRun, "only root can unpack an image with its owners and modes")
        }
        progress(ImageProgress("asking for \(reference)"))
        try makeFolder(folder)
        let found = try await locate(reference)
        let manifest = found.manifest
        if let image = stored(digest: found.digest) { return image }

        let download = try manifest.fetchBytes()
        guard download <= limits.sizeBytes else {
            throw ImageError(.tooLarge, "the image is larger than \(limits.sizeBytes >> 20) MiB")
        }
        try limits.checkFree(at: folder, besides: download)
        let slots = (0..<max(1, limits.concurrency)).map { "fetch-\($0)" }
        return try await making(found.digest, limits: limits, progress: progress) {
            (partial) async throws(ImageError) -> StoredImage in
            try await locked(anyOf: slots) { () async throws(ImageError) -> StoredImage in
                try await fill(partial, from: found, reference, progress: progress)
            }
        }
    }

    private struct Found: Sendable {
        var digest: String
        var manifest: ImageManifest
        /// For skopeo; names the digest where that is possible, so that what was checked is what is fetched.
        var source: String
        var options: [String]
    }

    private func fill(
        _ partial: String, from found: Found, _ reference: ImageReference, progress: @escaping ImageProgress.Report
    ) async throws(ImageError) -> StoredImage {
        progress(ImageProgress("downloading \(reference)"))
        let layout = "\(partial)/layout"
        try makeFolder("\(partial)/tmp")
        try await skopeo(
            ["--tmpdir", "\(partial)/tmp", "copy", "--quiet", "--format", "oci", "--remove-signatures"]
                + found.options.map { "--src-\($0)" } + [found.source, "oci:\(layout):image"],
            doing: "the image \(reference) could not be fetched")
        let configuration = try configuration(ofLayout: layout)
        try configuration.check(architecture: machineArchitecture)

        progress(ImageProgress("unpacking \(reference)"))
        let rootfs = "\(partial)/rootfs"
        try await run(
            "setpriv", Self.unpackRights + ["umoci", "raw", "unpack", "--image", "\(layout):image", rootfs],
            doing: "the image \(reference) could not be unpacked", deadline: limits.duration)
        try await removeDevices(rootfs)
        return StoredImage(
            digest: found.digest, rootfs: rootfs, environment: configuration.config?.environment ?? [],
            workingDirectory: configuration.config?.workingDirectory ?? "",
            user: configuration.config?.user.flatMap { $0.isEmpty ? nil : $0 },
            entrypoint: configuration.config?.entrypoint ?? [], command: configuration.config?.command ?? [],
            sizeBytes: 0, reference: reference.description)
    }

    /// What root needs to make any file with its owner and mode. Without CAP_SYS_ADMIN an image that brings `trusted.*`
    /// attributes, which are orders to overlayfs, cannot be unpacked at all.
    private static let unpackRights = [
        "--inh-caps", "-all", "--bounding-set", "-all,+chown,+dac_override,+fowner,+fsetid,+setfcap,+mknod",
    ]

    /// Asks what the reference stands for now.
    private func locate(_ reference: ImageReference) async throws(ImageError) -> Found {
        switch reference.kind {
        case .base: throw ImageError(.invalidReference, "base is built, not fetched")
        case .layout(let folder, let tag):
            let source = "oci:\(folder)" + (tag.map { ":\($0)" } ?? "")
            let text = try await inspect(source, [], reference)
            return Found(
                digest: ImageManifest.digest(of: text), manifest: try oneImage(try ImageManifest(text: text)),
                source: source, options: [])
        case .registry(let named):
            let options = allowsPlainHTTP(named) ? ["tls-verify=false"] : []
            var source = "docker://\(named)"
            var text = try await inspect(source, options, reference)
            var digest = ImageManifest.digest(of: text)
            guard named.digest == nil || named.digest == digest else {
                throw ImageError(.unavailable, "the registry answered with another image than \(reference)")
            }
            var manifest = try ImageManifest(text: text)
            if let chosen = try manifest.chosen(architecture: machineArchitecture) {
                source = "docker://\(named.name)@\(chosen.digest)"
                text = try await inspect(source, options, reference)
                digest = ImageManifest.digest(of: text)
                guard chosen.digest == digest else {
                    throw ImageError(.unavailable, "the registry answered with another image than \(reference)")
                }
                manifest = try ImageManifest(text: text)
            }
            return Found(
                digest: digest, manifest: try oneImage(manifest), source: "docker://\(named.name)@\(digest)",
                options: options)
        }
    }

    private func oneImage(_ manifest: ImageManifest) throws(ImageError) -> ImageManifest {
        guard manifest.layers != nil else { throw ImageError(.unsupported, "the image is an index inside an index") }
        return manifest
    }

    private func inspect(
        _ source: String, _ options: [String], _ reference: ImageReference
    ) async throws(ImageError) -> String {
        try await skopeo(
            ["inspect", "--raw"] + options.map { "--\($0)" } + [source],
            doing: "the image \(reference) could not be found", deadline: .seconds(60))
    }

    /// Without TLS anybody on the way could hand us another image, so only this machine's own registries and those the
    /// operator lists are asked that way.
    func allowsPlainHTTP(_ named: RegistryReference) -> Bool {
        named.isOnLoopback || named.registry.map(insecureRegistries.contains) ?? false
    }

    @discardableResult
    private func skopeo(
        _ arguments: [String], doing what: String, deadline: Duration? = nil
    ) async throws(ImageError) -> String {
        try await run(
            "skopeo", arguments, environment: SiteEnvironment.forRegistries, doing: what,
            deadline: deadline ?? limits.duration)
    }

    /// Read from the layout that skopeo has just written and checked.
    private func configuration(ofLayout layout: String) throws(ImageError) -> ImageConfiguration {
        struct Index: Decodable { var manifests: [ImageManifest.Descriptor] }
        func blob(_ digest: String) -> String { "\(layout)/blobs/sha256/\(digest.dropFirst(7))" }
        guard let index = read(Index.self, "\(layout)/index.json"), index.manifests.count == 1,
            ImageDigest.isDigest(index.manifests[0].digest),
            let manifest = read(ImageManifest.self, blob(index.manifests[0].digest)), let config = manifest.config,
            ImageDigest.isDigest(config.digest), config.size <= 4 << 20,
            let configuration = read(ImageConfiguration.self, blob(config.digest))
        else { throw ImageError(.unsupported, "the image's configuration cannot be read") }
        return configuration
    }
}

/// What tools that use the network take from the environment of their site.
enum SiteEnvironment {
    static let proxies = picked([
        "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    ])
    /// With the places where skopeo looks for the operator's credentials and certificates.
    static let forRegistries = proxies.merging(
        picked([
            "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ])
    ) { _, new in new }

    private static func picked(_ names: [String]) -> [String: String] {
        let all = ProcessInfo.processInfo.environment
        return names.reduce(into: [:]) { $0[$1] = all[$1] }
    }
}
