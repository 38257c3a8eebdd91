import ComputeCore
import ComputeRuntime
import Glibc
import LinuxHost

/// The files of a member without isolation. They never move, so that what programs know of paths stays true.
///
/// ```
/// <data dir>/homes/<name>/home    the user's files; named after the member that had them first
///                        /keep    the Sidekick's own that outlives it
///           /kept/<compute>       a link to the folder: it outlives its members. Who has it says their `disk`
/// ```
struct ProcessDisk: Hashable, Sendable {
    let dataDirectory: String
    let name: String

    var path: String { "\(dataDirectory)/homes/\(name)" }
    var home: String { "\(path)/home" }
    var keep: String { "\(path)/keep" }

    private static func kept(in dataDirectory: String) -> String { "\(dataDirectory)/kept" }
    private static func link(_ id: ComputeID, in dataDirectory: String) -> String { "\(kept(in: dataDirectory))/\(id)" }

    func make() throws(RuntimeError) {
        for folder in ["\(dataDirectory)/homes", path, home, keep] {
            guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw .system("cannot make \(folder)") }
        }
    }

    /// It is that member's.
    func give(to directory: MemberDirectory) throws(RuntimeError) {
        guard symlink(path, directory.diskLink) == 0 else { throw .system("cannot write \(directory.diskLink)") }
    }

    // MARK: - Kept ones

    /// nil when there is none of that name.
    static func kept(_ id: ComputeID, in dataDirectory: String) -> ProcessDisk? {
        target(of: link(id, in: dataDirectory)).map { ProcessDisk(dataDirectory: dataDirectory, name: $0) }
    }

    static func keptIDs(in dataDirectory: String) -> [ComputeID] {
        DirectoryListing.names(in: kept(in: dataDirectory)).compactMap { ComputeID($0) }
    }

    func keep(as id: ComputeID) throws(RuntimeError) {
        let folder = Self.kept(in: dataDirectory)
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw .system("cannot make \(folder)") }
        let link = Self.link(id, in: dataDirectory)
        guard symlink(path, link) == 0 || errno == EEXIST else { throw .system("cannot write \(link)") }
    }

    /// Files last: a folder that nothing names is found and removed like any other leftover.
    static func remove(_ id: ComputeID, in dataDirectory: String) throws(RuntimeError) {
        let disk = kept(id, in: dataDirectory)
        let link = link(id, in: dataDirectory)
        guard unlink(link) == 0 || errno == ENOENT else { throw .system("cannot remove \(link)") }
        if let disk { try DirectoryRemoval.remove(disk.path) }
    }

    /// Names of folders that are not kept.
    static func unkept(in dataDirectory: String) -> [String] {
        let kept = Set(keptIDs(in: dataDirectory).compactMap { Self.kept($0, in: dataDirectory)?.name })
        return DirectoryListing.names(in: "\(dataDirectory)/homes").filter { !kept.contains($0) }
    }

    /// The last part of where a link leads.
    static func target(of link: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(link, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            .split(separator: "/").last.map(String.init)
    }
}
