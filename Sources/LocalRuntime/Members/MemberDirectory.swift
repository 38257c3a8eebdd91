import ComputeCore
import ComputeRuntime
import FoundationEssentials
import Glibc
import LinuxHost

/// What one member has on disk; everything of it lies in one directory, so removing that removes it all.
///
/// ```
/// <data dir>/members/<name>/     0700
///     member.json                what we know of it, replaced whole
///     taken                      somebody took it: after a crash it may be a compute's
///     sidekick.log               what the Sidekick complains about
///     …                          what its isolation keeps there
/// ```
struct MemberDirectory: Sendable, Hashable {
    let members: String
    let name: MemberName

    /// - Returns: nil when the name is no plain file name: it comes from outside and becomes a path.
    init?(members: String, name: MemberName) {
        let bytes = name.rawValue.utf8
        guard (1...64).contains(bytes.count), bytes.allSatisfy({ $0.isLowercaseLetter || $0.isDigit }) else {
            return nil
        }
        self.members = members
        self.name = name
    }

    var path: String { "\(members)/\(name)" }
    var log: String { "\(path)/sidekick.log" }
    private var takenMark: String { "\(path)/taken" }

    /// Makes the directory with a record without a process, so that a start that is cut in the middle leaves
    /// something the next one finds.
    func create(_ record: MemberRecord? = nil, folders: [String] = []) throws(RuntimeError) {
        for directory in [path] + folders {
            guard mkdir(directory, 0o700) == 0 else { throw .system("cannot make \(directory)") }
        }
        if let record { try write(record) }
    }

    /// Somebody takes it: from here on it may be claimed, so that only its Sidekick or a record can say what it is.
    func markTaken() throws(RuntimeError) {
        let file = open(takenMark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system("cannot write \(takenMark)") }
        close(file)
    }

    var isTaken: Bool { access(takenMark, F_OK) == 0 }

    /// Replaces the record whole. Not synced: after a power cut the process it names is gone as well.
    func write(_ record: MemberRecord) throws(RuntimeError) {
        let new = "\(path)/member.json.new"
        let bytes: Data
        do { bytes = try JSONEncoder().encode(record) } catch {
            throw RuntimeError(.unavailable, "cannot encode the record of member \(name)", cause: error)
        }
        let file = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system("cannot write \(new)") }
        let written = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        close(file)
        guard written == bytes.count, rename(new, "\(path)/member.json") == 0 else {
            throw .system("cannot write \(new)")
        }
    }

    /// - Returns: nil when there is none or it cannot be read: then nothing is known of the member.
    func record() -> MemberRecord? {
        guard let bytes = readSmallFile("\(path)/member.json") else { return nil }
        return try? JSONDecoder().decode(MemberRecord.self, from: Data(bytes))
    }

    /// Keeps the log from filling the disk. The Sidekick appends, so it goes on at the new end.
    func boundLog(to maximumBytes: Int) {
        var info = stat()
        if lstat(log, &info) == 0, info.st_size > maximumBytes { truncate(log, 0) }
    }

    /// Every member's directory there is.
    static func all(under members: String) -> [MemberDirectory] {
        DirectoryListing.names(in: members).compactMap { MemberDirectory(members: members, name: MemberName($0)) }
    }
}

/// What `member.json` holds.
struct MemberRecord: Codable, Sendable, Hashable {
    var member: Member
    /// nil until the process is started.
    var process: ProcessIdentity?
    var startedAt: WallTime
    /// The digest of what it stands on; absent in what was written before disks could be kept.
    var image: String?
    /// The kept disk that it was started on.
    var disk: ComputeID?
}

extension RuntimeError {
    /// With the text of `errno`.
    static func system(_ message: String) -> RuntimeError {
        RuntimeError(.unavailable, "\(message): \(String(cString: strerror(errno)))")
    }
}
