import Glibc

/// What comes with the Sidekick: programs and libraries for the processes of users. Whoever lays the Sidekick into a root file
/// system puts them into a folder for them, else they lie beside its executable.
enum InstalledFile {
    private static let folder = "/computesdk/lib"

    /// - Returns: nil when nobody has put it there.
    static func path(of name: String) -> String? {
        var own = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &own, own.count - 1)
        let executable = length > 0 ? String(decoding: own[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self) : ""
        let beside = executable.prefix(upTo: executable.lastIndex(of: "/") ?? executable.startIndex)
        return ["\(folder)/\(name)", "\(beside)/\(name)"].first { access($0, R_OK) == 0 }
    }
}
