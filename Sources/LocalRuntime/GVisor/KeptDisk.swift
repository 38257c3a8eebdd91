import Glibc
import LinuxHost

/// The disk of a compute that outlives its members.
///
/// ```
///  <folder>/disk.img    the file system with all that was written over the image
///          /image       the digest of that image, without which it is of no use
/// ```
struct KeptDisk: Sendable {
    let folder: String

    var image: String { "\(folder)/disk.img" }
    private var digest: String { "\(folder)/image" }

    var isThere: Bool { access(image, F_OK) == 0 }
    var imageDigest: String? { readSmallFile(digest).map { String(decoding: $0, as: UTF8.self) } }

    /// Some member's, also one that is on its way out.
    var isInUse: Bool { !OverlayDisk.loops(below: folder).isEmpty }

    /// Takes the file of a member, which may be writing to it. Its name survives a loss of power when this returns.
    func take(_ file: String, image digest: String) throws(HostError) {
        let parent = String(folder.prefix(upTo: folder.lastIndex(of: "/") ?? folder.startIndex))
        for path in [parent, folder] {
            guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
                throw HostError("cannot make \(path)", errno: errno)
            }
        }
        try write(digest)
        guard rename(file, image) == 0 else { throw HostError("cannot keep \(file)", errno: errno) }
        for path in [folder, parent] { try Self.sync(path) }
    }

    private func write(_ text: String) throws(HostError) {
        let new = "\(digest).new"
        let file = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw HostError("cannot write \(new)", errno: errno) }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0, rename(new, digest) == 0 else {
            throw HostError("cannot write \(digest)", errno: errno)
        }
    }

    private static func sync(_ path: String) throws(HostError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw HostError("cannot open \(path)", errno: errno) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw HostError("cannot write \(path) to disk", errno: errno) }
    }
}
