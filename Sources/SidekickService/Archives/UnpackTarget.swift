import Archives
import ComputeCore
import Glibc
import LinuxSystem

/// What an archive may do to the disk.
struct UnpackLimits: Sendable {
    /// Of all contents together. A compute's disk is smaller; this stops a bomb before the disk is full.
    var maxBytes: Int64 = 16 << 30
    var maxEntries: Int64 = 1_000_000
    /// Also links that lead out of the directory. Nothing is ever written through them here, but whatever uses the
    /// directory later may follow them.
    var allowsOutsideLinks = false
    /// Replaces what is there.
    var replaces = true
}

struct UnpackOutcome: Sendable {
    var entries: Int64 = 0
    var bytes: Int64 = 0
}

/// The directory that an archive is unpacked into, whatever its format: the one place that judges what members may be.
struct UnpackTarget: ~Copyable {
    private let limits: UnpackLimits
    private var builder: TreeBuilder
    private var current = ""
    private(set) var outcome = UnpackOutcome()

    init(_ path: String, _ limits: UnpackLimits) throws(LinuxSystemError) {
        builder = try TreeBuilder(path, replacing: limits.replaces)
        self.limits = limits
    }

    /// Counts the member and judges its name, before anything is done for it.
    mutating func announce(_ entry: ArchiveEntry) throws(Problem) -> TreePath {
        current = entry.text
        outcome.entries += 1
        guard outcome.entries <= limits.maxEntries else {
            throw tooLarge("more than \(limits.maxEntries) members", "max_entries")
        }
        // Not by their sum, which may be more than a number holds.
        guard entry.size <= limits.maxBytes - outcome.bytes else {
            throw tooLarge("more than \(limits.maxBytes) bytes", "max_bytes")
        }
        guard let path = TreePath(entry.path) else {
            throw refused("its name leads out of the directory, or is too long")
        }
        return path
    }

    /// - Throws: a `Problem` that names the member.
    mutating func begin(_ entry: ArchiveEntry) throws(Problem) {
        let path = try announce(entry)
        if case .symbolicLink(let target) = entry.kind { return try link(path, target) }
        if entry.kind == .special { throw refused("it is a device, pipe or of an unknown kind") }
        do throws(LinuxSystemError) {
            switch entry.kind {
            case .directory: try builder.makeDirectory(path, mode: entry.mode)
            case .file:
                guard !path.isRoot else { throw LinuxSystemError(.isDirectory, "write", current) }
                try builder.beginFile(
                    path, mode: entry.mode, modified: timespec(tv_sec: Int(entry.modified), tv_nsec: 0))
            case .hardLink(let target):
                // A bad one is none that could be there.
                guard let existing = TreePath(target), !existing.isRoot else {
                    throw LinuxSystemError(.intoItself, "link", current)
                }
                try builder.makeHardLink(path, to: existing)
            case .symbolicLink, .special: break
            }
        } catch { throw problem(error) }
    }

    /// A zip archive tells a link's target as content.
    mutating func link(_ path: TreePath, _ target: [UInt8]) throws(Problem) {
        guard !path.isRoot, !target.isEmpty, target.count < 4096, !target.contains(0) else {
            throw refused("it is no valid link")
        }
        guard limits.allowsOutsideLinks || path.linkStaysInside(target) else {
            throw refused(
                "it is a link to \(String(decoding: target.prefix(256), as: UTF8.self)), outside of the directory; "
                    + "links=any allows that")
        }
        do throws(LinuxSystemError) { try builder.makeLink(path, to: target) } catch { throw problem(error) }
    }

    mutating func write(_ bytes: ArraySlice<UInt8>) throws(Problem) {
        outcome.bytes += Int64(bytes.count)
        guard outcome.bytes <= limits.maxBytes else {
            throw tooLarge("more than \(limits.maxBytes) bytes", "max_bytes")
        }
        var failure: LinuxSystemError?
        bytes.withUnsafeBytes { buffer in
            do throws(LinuxSystemError) { try builder.write(buffer) } catch { failure = error }
        }
        if let failure { throw problem(failure) }
    }

    mutating func end() throws(Problem) {
        do throws(LinuxSystemError) { try builder.endFile() } catch { throw problem(error) }
    }

    mutating func finish() throws(Problem) {
        do throws(LinuxSystemError) { try builder.finish() } catch { throw problem(error) }
    }

    // MARK: - Refusals

    func refused(_ reason: String) -> Problem {
        Problem(
            status: 400, code: "unsafe_archive", message: "\(Self.shown(current)) was refused: \(reason)",
            field: "archive")
    }

    private func tooLarge(_ what: String, _ field: String) -> Problem {
        Problem(
            status: 413, code: .tooLarge, message: "the archive has \(what) (at \(Self.shown(current)))", field: field)
    }

    private func problem(_ error: LinuxSystemError) -> Problem {
        switch error.code.errno {
        case ELOOP, ENOTDIR: refused("a part of its path is a link or a file")
        case EINVAL: refused("the file that it links to is outside of the directory")
        case ENOENT: refused("the file that it links to is not there")
        case ENODEV: refused("what it links to is no file")
        default: FileService.problem(error, Self.shown(current), field: "archive")
        }
    }

    private static func shown(_ name: String) -> String {
        name.utf8.count <= 256 ? name : String(name.prefix(128)) + "…"
    }

    static func problem(_ error: ArchiveError) -> Problem {
        Problem(
            status: 400, code: error.code == .unsupported ? "unsupported_archive" : "malformed_archive",
            message: "\(error)", field: "archive")
    }
}
