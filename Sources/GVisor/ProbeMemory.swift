import FoundationEssentials
import Glibc

/// What a probe found, kept in a file for the next start: trials take a second, and their outcome changes only with the
/// executable, the kernel or the wish.
struct ProbeMemory: Sendable {
    let file: String

    struct Circumstances: Codable, Equatable, Sendable {
        var executable: String
        var size: Int64
        /// Nanoseconds since 1970.
        var modified: Int64
        var kernel: String
        var platform: String?

        /// - Returns: nil when the executable cannot be looked at.
        init?(executable: String, platform: String?) {
            var info = stat()
            var system = utsname()
            guard stat(executable, &info) == 0, uname(&system) == 0 else { return nil }
            self.executable = executable
            self.platform = platform
            size = Int64(info.st_size)
            modified = Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
            kernel = withUnsafeBytes(of: system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
    }

    private struct Entry: Codable {
        var circumstances: Circumstances
        var abilities: Runsc.Abilities
    }

    func recall(_ circumstances: Circumstances) -> Runsc.Abilities? {
        guard let bytes = FileManager.default.contents(atPath: file),
            let entry = try? JSONDecoder().decode(Entry.self, from: bytes), entry.circumstances == circumstances
        else { return nil }
        return entry.abilities
    }

    /// One that cannot be kept costs the next start a second.
    func keep(_ abilities: Runsc.Abilities, _ circumstances: Circumstances) {
        let entry = Entry(circumstances: circumstances, abilities: abilities)
        guard let bytes = try? JSONEncoder().encode(entry) else { return }
        try? bytes.write(to: URL(filePath: file), options: .atomic)
    }
}
