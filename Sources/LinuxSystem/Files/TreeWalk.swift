import CLinux
package import Glibc

/// Goes through a directory and what is below it, an entry at a time, so that it can stop between any two.
///
/// It descends with `openat` + O_NOFOLLOW, so that nobody who swaps a directory for a link can lead it elsewhere, and
/// does not enter other file systems. What goes away meanwhile is left out. It holds a descriptor for each level and no
/// names: memory does not grow with the tree.
package struct TreeWalk: ~Copyable {
    /// Deeper than any honest tree. Each level costs a descriptor.
    package static let maxDepth = 256

    package struct Entry: Sendable {
        /// Relative to the start, with slashes; names need not be UTF-8.
        package let path: [UInt8]
        package let info: stat
        package var text: String { String(decoding: path, as: UTF8.self) }
        package var kind: UInt32 { info.kind }
        package var mode: UInt32 { info.st_mode & 0o7777 }
    }

    package enum Step: Sendable {
        case entry(Entry)
        /// Everything in this directory was there; its own turn was before.
        case left(Entry)
    }

    private final class Level {
        var stream: DirectoryStream
        let entry: Entry
        init(_ stream: consuming DirectoryStream, _ entry: Entry) {
            self.stream = stream
            self.entry = entry
        }
    }

    /// Directories that were left out because the user may not read them, or because they are too deep.
    package private(set) var skipped = 0
    private let subject: String
    private let device: dev_t
    private var levels: [Level] = []
    /// The directory that `next` enters first.
    private var pending: (name: [CChar], entry: Entry)?
    /// The name of the entry that `next` gave last, in the innermost level.
    private var name: [CChar] = []

    /// - Parameter path: a directory, or a link to one.
    package init(_ path: String) throws(LinuxSystemError) {
        let root = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        try FileTree.refuseProcess(root.raw, path)
        let info = try root.status(path)
        let top = Level(try DirectoryStream(root.raw, subject: path), Entry(path: [], info: info))
        subject = path
        device = info.st_dev
        levels = [top]
    }

    /// The entry that `next` gave last is a directory that shall be left out.
    package mutating func leaveOut() { pending = nil }

    package mutating func next() throws(LinuxSystemError) -> Step? {
        if let directory = pending {
            pending = nil
            if enter(directory.name, directory.entry) { return try next() }
            return .left(directory.entry)
        }
        guard let level = levels.last else { return nil }
        while let found = try level.stream.next() {
            var info = stat()
            guard fstatat(level.stream.descriptor, found.name, &info, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            let bytes = found.name.dropLast().map { UInt8(bitPattern: $0) }
            let path = level.entry.path.isEmpty ? bytes : level.entry.path + [UInt8(ascii: "/")] + bytes
            let entry = Entry(path: path, info: info)
            name = found.name
            if info.isDirectory { pending = (found.name, entry) }
            return .entry(entry)
        }
        levels.removeLast()
        return levels.isEmpty ? nil : .left(level.entry)
    }

    /// False when it cannot be entered.
    private mutating func enter(_ name: [CChar], _ entry: Entry) -> Bool {
        // Another file system: its root is an entry, what is in it is not ours.
        guard entry.info.st_dev == device, let level = levels.last else { return false }
        guard levels.count < Self.maxDepth else {
            skipped += 1
            return false
        }
        let raw = clinux_openat(
            level.stream.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        guard raw >= 0 else {
            if errno != ENOENT { skipped += 1 }
            return false
        }
        let directory = FileDescriptor(adopting: raw)
        guard let stream = try? DirectoryStream(directory.raw, subject: subject) else {
            skipped += 1
            return false
        }
        levels.append(Level(stream, entry))
        return true
    }

    /// Opens the file that `next` gave last.
    /// - Throws: `.changedMeanwhile` when something else is there by now.
    package func openFile() throws(LinuxSystemError) -> FileDescriptor {
        guard let level = levels.last else { throw LinuxSystemError(.notFound, "open", subject) }
        // Without O_NONBLOCK, a pipe that took its place would hold the thread.
        let raw = clinux_openat(level.stream.descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
        guard raw >= 0 else { throw .last("open", subject) }
        let file = FileDescriptor(adopting: raw)
        guard try file.status(subject).kind == S_IFREG else {
            throw LinuxSystemError(.changedMeanwhile, "open", subject)
        }
        return file
    }

    /// Where the link that `next` gave last leads.
    package func readLink() throws(LinuxSystemError) -> [UInt8] {
        guard let level = levels.last else { throw LinuxSystemError(.notFound, "read the link", subject) }
        return try FileTree.readLink(name, in: level.stream.descriptor, subject)
    }

    /// `chmod` of what `next` gave last, or of a directory that it has just left.
    package func changeMode(_ step: Step, _ mode: UInt32) throws(LinuxSystemError) {
        guard let level = levels.last else { return }
        let entry: Entry
        switch step {
        case .entry(let given), .left(let given): entry = given
        }
        let last = entry.path.split(separator: UInt8(ascii: "/")).last ?? []
        let name = last.map { CChar(bitPattern: $0) } + [0]
        // A link that took its place has no mode, and what it leads to is none of ours.
        guard
            fchmodat(level.stream.descriptor, name, mode, AT_SYMLINK_NOFOLLOW) == 0
                || [ENOENT, EOPNOTSUPP, ELOOP].contains(errno)
        else { throw .last("chmod", "\(subject)/\(entry.text)") }
    }
}

extension FileTree {
    static func readLink(_ name: [CChar], in directory: Int32, _ subject: String) throws(LinuxSystemError) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlinkat(directory, name, &buffer, buffer.count)
        guard count >= 0 else { throw .last("read the link", subject) }
        return buffer[..<count].map { UInt8(bitPattern: $0) }
    }
}
