import ComputeCore
import Glibc
import LinuxSystem
import NIOCore
import Synchronization

/// What was copied, and what of it the user could not read.
struct CopyOutcome: Sendable {
    let entry: FileTree.Entry
    var entries = 1
    var bytes: Int64 = 0
    var skipped = 0
}

extension FileService {
    func makeDirectory(
        _ path: FilePath, parents: Bool, mode: UInt32?, as user: UserIdentity
    ) async throws -> FileTree.Entry {
        try await perform(path.absolute, user) { () throws(LinuxSystemError) in
            try FileTree.makeDirectory(path.absolute, parents: parents, mode: mode ?? 0o755)
        }
    }

    func makeLink(
        _ path: FilePath, to target: String, replacing: Bool, as user: UserIdentity
    ) async throws -> FileTree.Entry {
        try await locks.holding([path.absolute]) {
            try await perform(path.absolute, user) { () throws(LinuxSystemError) in
                try FileTree.makeLink(path.absolute, to: target, replacing: replacing)
            }
        }
    }

    /// - Returns: what it is now, and how many entries were changed.
    func changeMode(
        _ path: FilePath, _ mode: UInt32, recursive: Bool, as user: UserIdentity
    ) async throws -> (FileTree.Entry, changed: Int) {
        try await locks.holding([path.absolute]) {
            let before = try await perform(path.absolute, user) { () throws(LinuxSystemError) in
                try FileTree.status(path.absolute)
            }
            var changed = 1
            if recursive, before.isDirectory {
                let job = try await perform(path.absolute, user) { () throws(LinuxSystemError) in
                    ModeChange(try TreeWalk(path.absolute), mode)
                }
                while try await perform(path.absolute, user, { () throws(LinuxSystemError) in try job.step() }) {}
                changed += job.changed
            }
            // The top last: its new mode may keep us out.
            let entry = try await perform(path.absolute, user) { () throws(LinuxSystemError) in
                try FileTree.changeMode(path.absolute, mode)
            }
            return (entry, changed)
        }
    }

    /// Renames; between file systems, copies beside the place, renames there and then removes.
    func move(_ from: FilePath, to: FilePath, replacing: Bool, as user: UserIdentity) async throws -> FileTree.Entry {
        guard !to.absolute.hasPrefix(from.absolute + "/") else {
            throw Problem.invalid("to", "to is inside of from, which cannot be moved into itself")
        }
        return try await locks.holding([from.absolute, to.absolute]) {
            do {
                return try await perform(from, to, user) { () throws(LinuxSystemError) in
                    try FileTree.move(from.absolute, to: to.absolute, replacing: replacing)
                }
            } catch is CrossesFileSystems {
                let slash = to.absolute.utf8.lastIndex(of: UInt8(ascii: "/")) ?? to.absolute.startIndex
                let aside = "\(to.absolute[..<slash])/.sidekick-\(UInt64.random(in: 0 ... .max)).tmp"
                do {
                    _ = try await copyAcross(from, aside, as: user)
                    let entry = try await perform(from, to, user) { () throws(LinuxSystemError) in
                        _ = try FileTree.move(aside, to: to.absolute, replacing: replacing)
                        try FileTree.remove(from.absolute)
                        return try FileTree.status(to.absolute, follow: false)
                    }
                    return entry
                } catch {
                    _ = try? await Task {
                        try await perform(aside, user) { () throws(LinuxSystemError) in try FileTree.remove(aside) }
                    }.value
                    throw error
                }
            }
        }
    }

    /// Copies what is at the end of all links. Links inside a directory stay links.
    func copy(
        _ from: FilePath, to: FilePath, recursive: Bool, replacing: Bool, as user: UserIdentity
    ) async throws -> CopyOutcome {
        try await locks.holding([from.absolute, to.absolute]) {
            let source = try await perform(from, to, user) { () throws(LinuxSystemError) in
                try FileTree.status(from.absolute)
            }
            guard !from.absolute.utf8.elementsEqual(to.absolute.utf8) else {
                throw Problem.invalid("to", "to and from are the same")
            }
            guard source.isDirectory else {
                return try await copyFile(from, to.absolute, replacing: replacing, as: user)
            }
            guard recursive else {
                throw Problem.invalid("recursive", "\(from.absolute) is a directory; copy it with recursive")
            }
            if !replacing {
                let isThere = try await perform(from, to, user) { () throws(LinuxSystemError) in
                    (try? FileTree.status(to.absolute, follow: false)) != nil
                }
                guard !isThere else {
                    throw Self.problem(LinuxSystemError(.alreadyThere, "copy"), to.absolute, field: "to")
                }
            }
            return try await copyTree(from, to.absolute, replacing: replacing, as: user)
        }
    }

    // MARK: - Steps

    private func copyAcross(_ from: FilePath, _ to: String, as user: UserIdentity) async throws -> CopyOutcome {
        let source = try await perform(from.absolute, user) { () throws(LinuxSystemError) in
            try FileTree.status(from.absolute, follow: false)
        }
        if let target = source.linkTarget {
            return CopyOutcome(
                entry: try await perform(from.absolute, user) { () throws(LinuxSystemError) in
                    try FileTree.makeLink(to, to: target, replacing: false)
                })
        }
        guard source.isDirectory else { return try await copyFile(from, to, replacing: false, as: user) }
        let outcome = try await copyTree(from, to, replacing: false, as: user)
        guard outcome.skipped == 0 else {
            throw Problem(
                status: 403, code: .forbidden, message: "the user may not read all of \(from.absolute)", field: "from")
        }
        return outcome
    }

    private func copyFile(
        _ from: FilePath, _ to: String, replacing: Bool, as user: UserIdentity
    ) async throws -> CopyOutcome {
        let (source, mode) = try await perform(from.absolute, user) { () throws(LinuxSystemError) in
            (try OpenedFile(from.absolute), try FileTree.status(from.absolute).mode & 0o777)
        }
        let file = try await begin(to, mode: mode, as: user)
        defer { file.discard() }
        let piece = OpenedFile.Piece()
        while true {
            let count = try await perform(to, user) { () throws(LinuxSystemError) in
                try source.read(into: piece, at: file.size, upTo: .max)
                let bytes = piece.bytes
                _ = try file.write(BodyPiece(bytes), at: file.size)
                return bytes.readableBytes
            }
            if count == 0 { break }
        }
        let completion = try await perform(to, user) { () throws(LinuxSystemError) in
            try file.complete(expecting: nil, replacing: replacing)
        }
        guard case .done(let entry, _, _) = completion else {
            throw Problem(status: 409, code: .conflict, message: "\(to) was changed meanwhile", field: "to")
        }
        return CopyOutcome(entry: entry, bytes: entry.size)
    }

    private func copyTree(
        _ from: FilePath, _ to: String, replacing: Bool, as user: UserIdentity
    ) async throws -> CopyOutcome {
        let job = try await perform(from.absolute, user) { () throws(LinuxSystemError) in
            CopyJob(try TreeCopy(from.absolute, to: to, replacing: replacing))
        }
        while try await perform(from.absolute, user, { () throws(LinuxSystemError) in try job.step() }) {}
        let entry = try await perform(to, user) { () throws(LinuxSystemError) in try FileTree.status(to) }
        return job.outcome(entry)
    }

    private struct CrossesFileSystems: Error {}

    /// An error is about the one of the two that it names.
    private func perform<T: Sendable>(
        _ from: FilePath, _ to: FilePath, _ user: UserIdentity,
        _ operation: @escaping @Sendable () throws(LinuxSystemError) -> T
    ) async throws -> T {
        do {
            return try await threads.run(as: user) { try operation() }
        } catch let error as LinuxSystemError {
            if error.code == .crossesMount { throw CrossesFileSystems() }
            let isTo = error.subject == to.absolute
            throw Self.problem(error, isTo ? to.absolute : from.absolute, field: isTo ? "to" : "from")
        }
    }
}

/// The walk of a recursive chmod, between its steps.
private final class ModeChange: Sendable {
    private struct State: ~Copyable {
        var walk: TreeWalk
        var changed = 0
    }
    private let state: Mutex<State>
    private let mode: UInt32

    init(_ walk: consuming sending TreeWalk, _ mode: UInt32) {
        state = Mutex(State(walk: walk))
        self.mode = mode
    }

    var changed: Int { state.withLock { $0.changed } }

    func step() throws(LinuxSystemError) -> Bool {
        try state.withLock { state -> Result<Bool, LinuxSystemError> in
            do throws(LinuxSystemError) {
                for _ in 0..<256 {
                    guard let step = try state.walk.next() else { return .success(false) }
                    switch step {
                    // A directory when everything in it is done, or the new mode could keep us out.
                    case .entry(let entry): guard entry.kind != S_IFDIR, entry.kind != S_IFLNK else { continue }
                    case .left: break
                    }
                    try state.walk.changeMode(step, mode)
                    state.changed += 1
                }
                return .success(true)
            } catch { return .failure(error) }
        }.get()
    }
}

private final class CopyJob: Sendable {
    private let state: Mutex<TreeCopy>

    init(_ copy: consuming sending TreeCopy) { state = Mutex(copy) }

    func step() throws(LinuxSystemError) -> Bool {
        try state.withLock { copy -> Result<Bool, LinuxSystemError> in
            do throws(LinuxSystemError) { return .success(try copy.step()) } catch { return .failure(error) }
        }.get()
    }

    func outcome(_ entry: FileTree.Entry) -> CopyOutcome {
        state.withLock { CopyOutcome(entry: entry, entries: $0.entries + 1, bytes: $0.bytes, skipped: $0.skipped) }
    }
}
