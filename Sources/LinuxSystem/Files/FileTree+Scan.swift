import CLinux
import Glibc

extension FileTree {
    /// What lies in a directory, by name.
    package struct Scan: Sendable {
        package var files: [String] = []
        package var directories: [String] = []
        /// There is more than the limit.
        package var isPartial = false
        package init(files: [String] = [], directories: [String] = [], isPartial: Bool = false) {
            self.files = files
            self.directories = directories
            self.isPartial = isPartial
        }
    }

    /// Looks at names only. What is not UTF-8 is left out: nobody could be told of it.
    /// - Parameter followsLink: whether a link in the last place may lead to the directory.
    package static func scan(_ path: String, followsLink: Bool, limit: Int) throws(LinuxSystemError) -> Scan {
        let directory = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | (followsLink ? 0 : O_NOFOLLOW))
        try refuseProcess(directory.raw, path)
        var stream = try DirectoryStream(directory.raw, subject: path)
        var scan = Scan()
        while let entry = try stream.next() {
            guard scan.files.count + scan.directories.count < limit else {
                scan.isPartial = true
                break
            }
            guard let name = String(validating: entry.name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            else { continue }
            if entry.isDirectory { scan.directories.append(name) } else { scan.files.append(name) }
        }
        return scan
    }

    /// When something about it changed last, its content or its attributes. Milliseconds since 1970; nil: it is gone.
    package static func changedAt(_ path: String) -> Int64? {
        var info = stat()
        guard lstat(path, &info) == 0 else { return nil }
        return Int64(info.st_ctim.tv_sec) * 1000 + Int64(info.st_ctim.tv_nsec) / 1_000_000
    }

    /// Reads a regular file that is not behind a link. nil: it is none, too large, or not the user's to read.
    package static func readUnlinked(_ path: String, limit: Int) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW),
            let info = try? file.status(path), info.kind == S_IFREG, info.st_size <= limit
        else { return nil }
        return try? file.readAll(upTo: limit, path)
    }
}
