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

    /// So much of an archive says what it is.
    static let tellingBytes = 10

    /// By how it begins, `tellingBytes` or all that there is; everything that is not one of the others is taken for tar, whose
    /// reader will complain.
    /// - Throws: a 400 for a known format that cannot be read here.
    init(firstBytes bytes: some Collection<UInt8>) throws(Problem) {
        if let name = Self.others.first(where: { bytes.starts(with: $0.bytes) })?.name {
            throw Problem(
                status: 400, code: "unsupported_archive",
                message: "the archive is \(name), which is not supported: send tar, tar.gz or zip", field: "archive")
        }
        switch Array(bytes.prefix(2)) {
        case [0x1f, 0x8b]: self = .tarGzip
        case [0x50, 0x4b]: self = .zip
        default: self = .tar
        }
    }

    /// Long enough that no tar begins so, which begins with the name of a file.
    private static let others: [(name: String, bytes: [UInt8])] =
        [
            ("xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), ("zstd", [0x28, 0xb5, 0x2f, 0xfd]),
            ("lz4", [0x04, 0x22, 0x4d, 0x18]), ("7z", [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]),
        ]
        + (1...9).flatMap { level in
            // With something in it, and without.
            [Array("1AY&SY".utf8), [0x17, 0x72, 0x45, 0x38, 0x50, 0x90]].map {
                ("bzip2", Array("BZh\(level)".utf8) + $0)
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
