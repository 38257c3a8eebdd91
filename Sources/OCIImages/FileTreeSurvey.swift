import Glibc
import LinuxHost

/// What a folder's tree takes.
struct FileTreeSurvey: Sendable, Equatable {
    /// Blocks in use, so that a sparse file counts as what it takes. A file with several names counts for each.
    var bytes: Int64
    var entries: Int

    /// Walked by `find`, which manages any depth; what vanishes meanwhile is not counted.
    /// - Returns: nil when nothing can be said: the caller was cancelled, or the tools fail.
    static func of(_ folder: String, tools: Tools) async -> FileTreeSurvey? {
        let script =
            #"find "$1" -xdev -printf '%b\n' 2>/dev/null | awk '{ n++; b += $1 } END { printf "%d %.0f", n, b * 512 }'"#
        guard let said = try? await tools.run("sh", ["-c", script, "sh", folder], deadline: .seconds(300)) else {
            return nil
        }
        let numbers = said.standardOutput.split(separator: " ").compactMap { Int64($0) }
        return numbers.count == 2 ? FileTreeSurvey(bytes: numbers[1], entries: Int(numbers[0])) : nil
    }
}

extension ImageStore {
    /// Takes away what an image has no right to bring: device nodes. Number 0:0 would delete files of layers below where
    /// the tree becomes one, others are ways to the machine.
    func removeDevices(_ rootfs: String) async throws(ImageError) {
        try await run(
            "find", [rootfs, "-xdev", "(", "-type", "b", "-o", "-type", "c", ")", "-delete"],
            doing: "the image's device files could not be removed")
    }
}

/// Free for us on the disk that holds `path`.
func freeSpace(at path: String) -> Int64? {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return nil }
    return Int64(status.f_bavail) * Int64(status.f_frsize)
}
