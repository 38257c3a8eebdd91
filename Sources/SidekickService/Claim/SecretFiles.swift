import ComputeCore
import FoundationEssentials
import Glibc
import LinuxSystem
import SidekickProtocol

/// Puts the secrets of a claim in their places, as files of the user's. Blocking.
///
/// As ourselves, because a place such as `/run/secrets` is not in the user's power; nobody's code has run here yet that
/// could have laid a link in the way.
struct SecretFiles: Sendable {
    let user: UserIdentity

    /// Writing the same again is nothing new: a claim that failed half way is repeated.
    func write(_ files: [SecretFile]) throws(Problem) {
        for file in files {
            do throws(LinuxSystemError) {
                try write(file)
            } catch  where error.code.isDiskFull {
                throw Problem(status: 507, code: .diskFull, message: "the disk is full: a secret was not written")
            } catch {
                throw .invalid("secretFiles", "a secret cannot be written to \(file.path): \(error)")
            }
        }
    }

    /// On a disk that the compute used before. One that cannot be written must not keep its owner from his other files: the
    /// disk may be full, or he may have laid a link of his in the way, through which nothing of ours goes as root.
    func renew(_ files: [SecretFile]) {
        for file in files {
            do {
                if let link = Self.strangeLink(on: file.path, besides: user.ids == nil ? geteuid() : 0) {
                    throw LinuxSystemError(.init(errno: ELOOP), "write", link)
                }
                try write(file)
            } catch {
                SidekickLog.write(
                    .error, "a secret was not written again", ["path": file.path, "reason": "\(error)"])
            }
        }
    }

    /// A link on the way that is neither root's nor our own.
    private static func strangeLink(on path: String, besides own: uid_t) -> String? {
        var prefix = ""
        for part in path.utf8.split(separator: UInt8(ascii: "/")) {
            prefix += "/" + String(Substring(part))
            var info = stat()
            guard lstat(prefix, &info) == 0 else { return nil }
            if info.st_mode & S_IFMT == S_IFLNK, info.st_uid != 0, info.st_uid != own { return prefix }
        }
        return nil
    }

    private func write(_ file: SecretFile) throws(LinuxSystemError) {
        let owner = user.ids?.threadIdentity
        if let owner { try FileTree.makeParents(of: file.path, owner: owner) }
        var pending = try PendingFile(file.path, mode: UInt32(file.mode))
        // `read` has refused what is none.
        let content = [UInt8](base64URL: file.content) ?? []
        try content.withUnsafeBytes { bytes -> Result<Void, LinuxSystemError> in
            do throws(LinuxSystemError) { return .success(try pending.write(bytes)) } catch { return .failure(error) }
        }.get()
        if let owner { try pending.give(to: owner) }
        _ = try pending.commit()
    }
}

extension SecretFile {
    static func list(_ fields: FieldReader) throws(Problem) -> [SecretFile]? {
        guard fields.value("secretFiles") != nil else { return nil }
        var (files, size) = ([SecretFile](), 0)
        for entry in try fields.objects("secretFiles", atMost: maxCount) {
            let path = try entry.requiredString("path")
            guard path.utf8.first == UInt8(ascii: "/") else {
                throw .invalid(entry.path("path"), "\(entry.path("path")) must be absolute")
            }
            let absolute: String
            do throws(Problem) {
                absolute = try FilePath(path, directory: "/").absolute
            } catch {
                throw .invalid(entry.path("path"), error.message)
            }
            guard let mode = try entry.integer("mode", in: 0...0o777) else {
                throw .invalid(entry.path("mode"), "\(entry.path("mode")) is required")
            }
            guard let content = [UInt8](base64URL: try entry.requiredString("content")) else {
                throw .invalid(entry.path("content"), "\(entry.path("content")) must be base64url")
            }
            size += content.count
            files.append(SecretFile(path: absolute, mode: Int(mode), content: content))
        }
        guard size <= maxBytes else { throw .invalid("secretFiles", "secretFiles hold more than \(maxBytes) bytes") }
        return files
    }
}
