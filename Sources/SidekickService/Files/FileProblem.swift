package import ComputeCore
import Glibc
package import LinuxSystem

extension FileService {
    /// The table from errno to HTTP. `path` is as the client may see it: absolute, inside its own compute.
    package static func problem(_ error: LinuxSystemError, _ path: String, field: String = "path") -> Problem {
        switch error.code.errno {
        case ENOENT: Problem(status: 404, code: .notFound, message: "there is no \(path)", field: field)
        case EACCES, EPERM, EROFS:
            Problem(status: 403, code: .forbidden, message: "the user may not do this to \(path)", field: field)
        case EISDIR:
            Problem(status: 409, code: .conflict, message: "\(path) is a directory, not a file", field: field)
        case EEXIST: Problem(status: 409, code: .conflict, message: "\(path) is there already", field: field)
        case ENOTEMPTY:
            Problem(
                status: 409, code: .conflict, message: "\(path) is a directory that is not empty", field: field)
        case ENOTDIR: .invalid(field, "\(path) or a part of it is not a directory")
        case EINVAL: .invalid(field, "\(path) cannot be used for this: \(error.step) failed: \(error.reason)")
        case ELOOP: .invalid(field, "\(path) goes through too many links")
        case ENAMETOOLONG: .invalid(field, "\(field) is too long")
        case ENODEV, ENXIO: .invalid(field, "\(path) is a device, pipe or socket, not a file")
        case EFBIG:
            Problem(
                status: 413, code: .tooLarge,
                message: "\(path) is too large for one answer; use /files/content, or /files/find for a directory",
                field: field)
        case ENOSPC, EDQUOT:
            Problem(status: 507, code: .diskFull, message: "the disk is full: \(path) was not written", field: field)
        case EXDEV, EBUSY:
            Problem(
                status: 409, code: .conflict, message: "\(path) has another file system mounted in it", field: field)
        case EMLINK: Problem(status: 409, code: .conflict, message: "\(path) has too many names", field: field)
        case EILSEQ, EOPNOTSUPP: .invalid(field, "its file system cannot do this with \(path)")
        case ESTALE: Problem(status: 409, code: .conflict, message: "\(path) was changed meanwhile", field: field)
        case EMFILE, ENFILE: .unavailable("too many files are open")
        default:
            Problem(
                status: 500, code: .internalError, message: "\(path): \(error.step) failed: \(error.reason)",
                field: field)
        }
    }
}
