import ComputeCore
import Glibc
import LinuxHost

/// A process that cannot be mistaken for a later one with the same number.
struct ProcessIdentity: Codable, Sendable, Hashable {
    var pid: Int32
    /// Ticks since boot, from `/proc/<pid>/stat`.
    var startTime: UInt64
    /// Pids and ticks start anew with every boot.
    var bootID: String

    /// - Returns: nil when there is no such process.
    init?(pid: Int32) {
        guard let stat = ProcessStat(of: pid) else { return nil }
        self.pid = pid
        startTime = stat.startTime
        bootID = ProcessTable.bootID
    }

    /// It runs, or could: a zombie is dead, it only was not waited for.
    var isAlive: Bool {
        guard bootID == ProcessTable.bootID, let stat = ProcessStat(of: pid) else { return false }
        return stat.startTime == startTime && !stat.hasEnded
    }

    /// Between the check and the signal the process may end, but its number comes round again only after tens of
    /// thousands of others.
    func signal(_ number: Int32) {
        if isAlive { kill(pid, number) }
    }
}

/// What `/proc` says about processes.
enum ProcessTable {
    static let bootID = String(
        decoding: (readSmallFile("/proc/sys/kernel/random/boot_id") ?? []).prefix { $0 != UInt8(ascii: "\n") },
        as: UTF8.self)

    static func pids() -> [Int32] { DirectoryListing.names(in: "/proc").compactMap { Int32($0) } }

    /// Children, their children and so on, without the root; no zombies.
    static func descendants(of roots: Set<Int32>) -> [ProcessIdentity] {
        var children: [Int32: [Int32]] = [:]
        for pid in pids() {
            if let stat = ProcessStat(of: pid) { children[stat.parent, default: []].append(pid) }
        }
        var found: Set<Int32> = roots
        var open = Array(roots)
        while let parent = open.popLast() {
            for child in children[parent] ?? [] where found.insert(child).inserted { open.append(child) }
        }
        return found.subtracting(roots).compactMap(ProcessIdentity.init).filter(\.isAlive)
    }

    /// Sidekicks of the member, and processes whose home is the member's: what is left when a Sidekick was killed,
    /// or when its start was cut off before its pid was written down.
    static func processes(of directory: MemberDirectory) -> [ProcessIdentity] {
        // A kept one may be the next member's; that starts only when this one's directory is gone.
        let home = directory.disk.map { Array("HOME=\($0.home)".utf8) }
        let option = Array("--member".utf8)
        let name = Array(directory.name.rawValue.utf8)
        let own = getpid()
        return pids().filter { pid in
            guard pid != own else { return false }
            let words = (readSmallFile("/proc/\(pid)/cmdline") ?? []).split(separator: 0)
            if zip(words, words.dropFirst()).contains(where: { $0.elementsEqual(option) && $1.elementsEqual(name) }) {
                return true
            }
            guard let home else { return false }
            let environment = readSmallFile("/proc/\(pid)/environ") ?? []
            return environment.split(separator: 0).contains { $0.elementsEqual(home) }
        }.compactMap(ProcessIdentity.init).filter(\.isAlive)
    }
}

/// Reads a file of at most a mebibyte; `/proc` has no sizes, and what is ours is far smaller.
/// No link is followed.
func readSmallFile(_ path: String) -> [UInt8]? { readFile(path, O_NOFOLLOW) }

/// The same for files of the machine's own, which may be links.
func readFollowing(_ path: String) -> [UInt8] { readFile(path, 0) ?? [] }

private func readFile(_ path: String, _ flags: Int32) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16384)
    while bytes.count < 1 << 20 {
        let count = read(file, &chunk, chunk.count)
        if count < 0, errno == EINTR { continue }
        if count < 0 { return nil }
        if count == 0 { break }
        bytes += chunk[..<count]
    }
    return bytes
}

/// The names that are left in an open directory stream: bytes that end in zero, because a name need not be UTF-8.
func entryNames(of stream: OpaquePointer) -> [[CChar]] {
    var names: [[CChar]] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                Array(UnsafeBufferPointer(start: $0, count: strlen($0) + 1))
            }
        }
        let dot = CChar(UInt8(ascii: "."))
        if name != [dot, 0], name != [dot, dot, 0] { names.append(name) }
    }
    return names
}
