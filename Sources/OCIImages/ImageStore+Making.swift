import Foundation
import Glibc
import LinuxHost

extension ImageStore {
    /// Makes the image of this digest unless it is there, whoever asks and however often: one makes it, the others wait
    /// and then find it.
    ///
    ///     lock(digest) → there? → remove what a crash left → fill partial-… under guard → sync → rename → unlock
    func making(
        _ digest: String, limits: ImageLimits, progress: @escaping ImageProgress.Report,
        _ fill: @escaping @Sendable (_ partial: String) async throws(ImageError) -> StoredImage
    ) async throws(ImageError) -> StoredImage {
        let name = ImageDigest.folderName(digest)
        return try await locked(name) { () async throws(ImageError) -> StoredImage in
            if let image = stored(digest: digest) { return image }
            let partial = partialFolder(digest)
            await removeLeftover(partial)
            try makeFolder(partial)
            let outcome = await guarded(partial, limits) { () async throws(ImageError) -> StoredImage in
                var image = try await fill(partial)
                progress(ImageProgress("writing to disk"))
                guard let survey = await FileTreeSurvey.of("\(partial)/rootfs", tools: tools) else {
                    throw ImageError(.cannotRun, "the image's files could not be counted")
                }
                try limits.check(survey)
                image.sizeBytes = survey.bytes
                image.rootfs = "\(folder)/\(name)/rootfs"
                try write(image, to: "\(partial)/image.json")
                // Everything else goes before anybody sees it, and a power cut must not leave empty files behind a name
                // that says whole.
                try await keepOnly(["rootfs", "image.json"], in: partial)
                try await run("sync", ["-f", partial], doing: "the image could not be written to disk")
                guard rename(partial, "\(folder)/\(name)") == 0 else {
                    throw ImageError(.cannotRun, "the image could not be put in place", cause: lastError())
                }
                return image
            }
            switch outcome {
            case .success(let image): return image
            case .failure(let error):
                await removeLeftover(partial)
                throw error
            }
        }
    }

    func partialFolder(_ digest: String) -> String { "\(folder)/partial-\(ImageDigest.folderName(digest))" }

    /// Runs a tool with what it may need of our environment, and nothing else.
    @discardableResult
    func run(
        _ tool: String, _ arguments: [String], environment: [String: String] = [:], doing what: String,
        deadline: Duration = .seconds(300)
    ) async throws(ImageError) -> String {
        do {
            return try await tools.run(tool, arguments, environment: environment, deadline: deadline).standardOutput
        } catch { throw ImageError(error, doing: what) }
    }

    /// Removes a partial folder, and first ends what still writes to it: when its maker was killed, the tools that it had
    /// started go on. Their command lines name the folder, and nobody else's do.
    ///
    /// Called with the lock held, so no living maker is met. Not cut short when the caller is cancelled: that is when it
    /// is needed.
    func removeLeftover(_ partial: String) async {
        await Task {
            guard access(partial, F_OK) == 0 else { return }
            _ = try? await tools.run(
                "sh", ["-c", Self.endWriters, "sh"], input: "\(partial)\n", deadline: .seconds(30))
            _ = try? await tools.run("rm", ["-rf", "--one-file-system", "--", partial], deadline: .seconds(300))
        }.value
    }

    /// The folder comes on stdin, so that neither the shell's nor grep's own command line names it. Signals again until
    /// none is left. Anything but a whole name of a partial folder would match strangers, so it does nothing then.
    private static let endWriters = #"""
        read -r folder
        case $folder in /*/partial-sha256-????????????????????????????????????????????????????????????????) ;; *) exit 1 ;; esac
        round=0
        while [ "$round" -lt 100 ]; do
            found=$(printf '%s\n' "$folder" | grep -lsaF -f - /proc/[0-9]*/cmdline)
            [ -n "$found" ] || exit 0
            for file in $found; do
                process=${file#/proc/}
                kill -KILL "${process%/cmdline}" 2>/dev/null
            done
            sleep 0.1
            round=$((round + 1))
        done
        """#

    private func keepOnly(_ names: Set<String>, in partial: String) async throws(ImageError) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: partial)) ?? [] where !names.contains(name) {
            try await run("rm", ["-rf", "--", "\(partial)/\(name)"], doing: "the image could not be tidied")
        }
    }

    /// Runs `body` and gives it up as soon as what it makes breaks a limit.
    private func guarded(
        _ partial: String, _ limits: ImageLimits,
        _ body: @escaping @Sendable () async throws(ImageError) -> StoredImage
    ) async -> Result<StoredImage, ImageError> {
        await withTaskGroup(of: Result<StoredImage, ImageError>.self) { group in
            group.addTask {
                do throws(ImageError) { return .success(try await body()) } catch { return .failure(error) }
            }
            group.addTask {
                let end = ContinuousClock.now + limits.duration
                while !Task.isCancelled {
                    let start = ContinuousClock.now
                    if ContinuousClock.now > end {
                        return .failure(ImageError(.deadlineExceeded, "the image took longer than \(limits.duration)"))
                    }
                    do throws(ImageError) {
                        if let survey = await FileTreeSurvey.of(partial, tools: tools) { try limits.check(survey) }
                        try limits.checkFree(at: partial)
                    } catch { return .failure(error) }
                    // A tenth of one core at most, however many files there are.
                    try? await Task.sleep(for: max(.seconds(1), start.duration(to: .now) * 10))
                }
                return .failure(ImageError(.cancelled, "the image was given up"))
            }
            let first = await group.next() ?? .failure(ImageError(.cancelled, "the image was given up"))
            group.cancelAll()
            return first
        }
    }
}

extension ImageLimits {
    func check(_ survey: FileTreeSurvey) throws(ImageError) {
        guard survey.bytes <= sizeBytes else {
            throw ImageError(.tooLarge, "the image takes more than \(sizeBytes >> 20) MiB of disk")
        }
        guard survey.entries <= entries else {
            throw ImageError(.tooLarge, "the image has more than \(entries) files")
        }
    }

    func checkFree(at path: String, besides needed: Int64 = 0) throws(ImageError) {
        guard let free = freeSpace(at: path), free - needed < freeBytes else { return }
        throw ImageError(
            .noSpace,
            "the disk of the image folder has only \(free >> 20) MiB free; \((freeBytes + needed) >> 20) MiB are needed"
        )
    }
}
