import ComputeRuntime
import Crypto
import FoundationEssentials
import Glibc
import OCIImages

/// What we lay over an image: the Sidekick, also as `sudo`, an account for user code where the image has none, and where to ask for
/// names. One read-only folder per image, shared by all computes on it.
///
/// ```
/// <folder>/sidekick-<key>        the executable, once; layers have hard links of it
/// <folder>/<key>/computesdk/bin/sidekick
///                computesdk/lib/libstatflags.so       for an old gVisor, see Sources/CStatFlags
///                computesdk/lib/libwaitingshell.so    for shells that are started ahead, see Sources/CWaitingShell
///                computesdk/lib/terminal-signals      for Ctrl-C in terminals, see Sources/CTerminalSignals
///                computesdk/image.env                 the image's variables, for user code
///                etc/{hosts,hostname,resolv.conf}  (passwd, group)
///                (home/user)  (usr/bin/sudo ─► /computesdk/bin/sidekick)
/// ```
struct AgentLayer: Sendable, Hashable {
    static let sidekick = "/computesdk/bin/sidekick"
    static let state = "/computesdk/state"
    /// On the disk, root's alone.
    static let keep = "/computesdk/keep"
    static let sudoSocket = "/computesdk/run/sudo.sock"
    static let imageEnvironment = "/computesdk/image.env"
    static let hostname = "computesdk"

    var folder: String
    var user: ImageUser

    /// What lies beside the Sidekick's executable; a Sidekick that needs one and finds none says so.
    private static let beside: [(name: String, mode: mode_t)] = [
        ("libstatflags.so", 0o644), ("libwaitingshell.so", 0o644), ("terminal-signals", 0o755),
    ]

    /// - Returns: nil when it is not there.
    private static func identity(of file: String) -> String? {
        var info = stat()
        guard stat(file, &info) == 0 else { return nil }
        return "\(info.st_size) \(info.st_mtim.tv_sec).\(info.st_mtim.tv_nsec) \(file)"
    }

    /// Makes it, or finds it made. Blocks.
    /// - Parameters:
    ///   - layers: where all layers are.
    ///   - image: strangers made its files: no link in them is followed.
    static func make(
        in layers: String, sidekick: String, image: StoredImage, dns: [String]
    ) throws(RuntimeError) -> AgentLayer {
        let rootfs = image.rootfs
        let shell = ["/bin/bash", "/usr/bin/bash"].contains { file($0, in: rootfs) } ? "/bin/bash" : "/bin/sh"
        let user = ImageUser(
            passwd: text("passwd", in: rootfs), group: text("group", in: rootfs), shell: shell)
        // They may be replaced between two starts of ours, while computes of the first live on.
        guard let identity = Self.identity(of: sidekick) else {
            throw .system("cannot find the sidekick at \(sidekick)")
        }
        let folder = sidekick.prefix(upTo: sidekick.lastIndex(of: "/") ?? sidekick.startIndex)
        let others = Self.beside.compactMap { Self.identity(of: "\(folder)/\($0.name)") }
        let executable = "\(layers)/sidekick-\(key([identity]))"
        let layer = AgentLayer(folder: "\(layers)/\(key([identity] + others + [image.digest] + dns))", user: user)
        guard access("\(layer.folder)\(Self.sidekick)", X_OK) != 0 else { return layer }

        let files = FileManager.default
        let new = "\(layers)/new-\(UInt32.random(in: 0 ... .max))"
        do {
            try files.createDirectory(atPath: layers, withIntermediateDirectories: true)
            if access(executable, X_OK) != 0 {
                let copy = "\(executable).new"
                try? files.removeItem(atPath: copy)
                try files.copyItem(atPath: sidekick, toPath: copy)
                chmod(copy, 0o755)
                guard rename(copy, executable) == 0 else { throw RuntimeError.system("cannot place \(executable)") }
            }
            for directory in ["", "/computesdk", "/computesdk/bin", "/computesdk/lib", Self.state, "/etc"] {
                try files.createDirectory(atPath: new + directory, withIntermediateDirectories: false)
                chmod(new + directory, 0o755)
            }
            guard mkdir(new + Self.keep, 0o700) == 0 else {
                throw RuntimeError.system("cannot make \(new + Self.keep)")
            }
            guard link(executable, new + Self.sidekick) == 0 else {
                throw RuntimeError.system("cannot link \(executable)")
            }
            for (name, mode) in Self.beside where access("\(folder)/\(name)", R_OK) == 0 {
                try files.copyItem(atPath: "\(folder)/\(name)", toPath: "\(new)/computesdk/lib/\(name)")
                chmod("\(new)/computesdk/lib/\(name)", mode)
            }
            try write(image.environment.map { "\($0)\0" }.joined(), new + imageEnvironment)
            try write("\(hostname)\n", "\(new)/etc/hostname")
            try write("127.0.0.1\tlocalhost \(hostname)\n::1\tlocalhost\n", "\(new)/etc/hosts")
            try write(dns.map { "nameserver \($0)\n" }.joined(), "\(new)/etc/resolv.conf")
            // Over the image's own, which is set-uid: that has no effect in gVisor. A folder of ours would hide a link.
            if ["/usr", "/usr/bin"].allSatisfy({ isDirectoryOrMissing($0, in: rootfs) }) {
                for directory in ["/usr", "/usr/bin"] {
                    try files.createDirectory(atPath: new + directory, withIntermediateDirectories: false)
                    chmod(new + directory, 0o755)
                }
                guard symlink(Self.sidekick, "\(new)/usr/bin/sudo") == 0 else {
                    throw RuntimeError.system("cannot place sudo")
                }
            }
            if let added = user.added {
                try write(added.passwd, "\(new)/etc/passwd")
                try write(added.group, "\(new)/etc/group")
                for (directory, owner) in [("/home", 0), (user.home, ImageUser.uid)] {
                    try files.createDirectory(atPath: new + directory, withIntermediateDirectories: false)
                    chmod(new + directory, 0o755)
                    chown(new + directory, owner, owner)
                }
            }
            try? files.removeItem(atPath: layer.folder)
            guard rename(new, layer.folder) == 0 else { throw RuntimeError.system("cannot place \(layer.folder)") }
        } catch {
            try? files.removeItem(atPath: new)
            throw RuntimeError(.unavailable, "the layer with the agent cannot be made", cause: error)
        }
        return layer
    }

    private static func key(_ parts: [String]) -> String {
        let digest = SHA256.hash(data: Data(parts.joined(separator: "\n").utf8))
        return String(digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined().prefix(16))
    }

    private static func write(_ text: String, _ path: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
        chmod(path, 0o644)
    }

    /// A small file of the image's `/etc`; empty when it is missing or anything but a plain file.
    private static func text(_ name: String, in rootfs: String) -> String {
        let etc = open("\(rootfs)/etc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard etc >= 0 else { return "" }
        defer { close(etc) }
        let file = openat(etc, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var info = stat()
        guard fstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG, info.st_size < 1 << 20 else { return "" }
        var bytes = [UInt8](repeating: 0, count: Int(info.st_size))
        let count = read(file, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    private static func isDirectoryOrMissing(_ path: String, in rootfs: String) -> Bool {
        var info = stat()
        return lstat(rootfs + path, &info) == 0 ? info.st_mode & S_IFMT == S_IFDIR : errno == ENOENT
    }

    private static func file(_ path: String, in rootfs: String) -> Bool {
        var info = stat()
        return lstat(rootfs + path, &info) == 0
    }
}
