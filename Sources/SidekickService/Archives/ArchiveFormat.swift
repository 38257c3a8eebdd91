import ComputeCore

enum ArchiveFormat: String, CaseIterable, Sendable {
    case tar
    case tarGzip = "tar.gz"
    case zip

    init(_ text: String) throws(Problem) {
        switch text {
        case "tar": self = .tar
        case "tar.gz", "tgz": self = .tarGzip
        case "zip": self = .zip
        default: throw .invalid("format", "format must be \"tar\", \"tar.gz\" or \"zip\"")
        }
    }

    /// By how it begins; everything that is not one of the others is taken for tar, whose reader will complain.
    init(firstBytes bytes: some Collection<UInt8>) {
        switch Array(bytes.prefix(2)) {
        case [0x1f, 0x8b]: self = .tarGzip
        case [0x50, 0x4b]: self = .zip
        default: self = .tar
        }
    }

    var contentType: String {
        switch self {
        case .tar: "application/x-tar"
        case .tarGzip: "application/gzip"
        case .zip: "application/zip"
        }
    }
}
