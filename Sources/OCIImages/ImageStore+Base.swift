import Foundation
import Glibc
import LinuxHost

/// The base image: Debian, built on this machine from its own mirrors.
extension ImageStore {
    func buildBase(progress: @escaping ImageProgress.Report) async throws(ImageError) -> StoredImage {
        let recipe = BaseRecipe.ofThisMachine
        if let image = stored(digest: recipe.digest) { return image }
        guard geteuid() == 0 else {
            throw ImageError(.cannotRun, "the base image can only be built by root: its files belong to several users")
        }
        try makeFolder(folder)
        try limits.checkFree(at: folder, besides: Self.baseBytes)
        return try await making(recipe.digest, limits: limits, progress: progress) {
            (partial) async throws(ImageError) -> StoredImage in
            let rootfs = "\(partial)/rootfs"
            let apt = await AptConfiguration.read(suite: recipe.suite, tools: tools)
            let arguments = recipe.arguments(target: rootfs, sources: apt.sources, options: apt.options)
            try await follow("\(partial)/log", progress) { () async throws(ImageError) in
                try await debootstrap(arguments, partial)
            }
            // The folder that holds it is root's alone; the root inside is everybody's.
            guard chmod(rootfs, 0o755) == 0 else {
                throw ImageError(.cannotRun, "the base image could not be finished", cause: lastError())
            }
            try await removeDevices(rootfs)
            return StoredImage(
                digest: recipe.digest, rootfs: rootfs, environment: BaseRecipe.environment,
                workingDirectory: "/home/user", user: "user", entrypoint: [], command: ["/bin/bash"], sizeBytes: 0,
                reference: "base")
        }
    }

    /// Twice what it takes: the packages themselves are there for a while.
    private static let baseBytes: Int64 = 700 << 20

    /// In namespaces of its own: whatever it starts ends with it, and nothing it mounts is seen or left outside.
    private func debootstrap(_ arguments: [String], _ partial: String) async throws(ImageError) {
        let redirected = #"log=$1; shift; exec "$@" >"$log" 2>&1 </dev/null"#
        let words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "mmdebstrap"] + arguments
        guard tools.path(of: "mmdebstrap") != nil else {
            throw ImageError(.cannotRun, "the base image is built by mmdebstrap, which is not on this machine")
        }
        try makeFolder("\(partial)/tmp")
        var environment = SiteEnvironment.proxies
        environment["TMPDIR"] = "\(partial)/tmp"
        do {
            try await tools.run(
                "sh", ["-c", redirected, "sh", "\(partial)/log"] + words, environment: environment,
                deadline: limits.duration)
        } catch {
            let log = (try? String(contentsOfFile: "\(partial)/log", encoding: .utf8)) ?? ""
            let told = log.split(separator: "\n").suffix(12).joined(separator: "\n")
            throw ImageError(
                ImageError(error, doing: "").code, "the base image could not be built",
                cause: told.isEmpty ? "\(error)" : told)
        }
    }

    /// Reports from a log while `body` writes it.
    private func follow(
        _ path: String, _ progress: @escaping ImageProgress.Report, while body: () async throws(ImageError) -> Void
    ) async throws(ImageError) {
        let follower = Task {
            var log = BuildLog()
            var offset: UInt64 = 0
            progress(log.progress)
            while !Task.isCancelled {
                if let file = FileHandle(forReadingAtPath: path) {
                    try? file.seek(toOffset: offset)
                    let data = (try? file.readToEnd()) ?? Data()
                    try? file.close()
                    offset += UInt64(data.count)
                    if let news = log.read(String(decoding: data, as: UTF8.self)) { progress(news) }
                }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
        defer { follower.cancel() }
        try await body()
    }
}
