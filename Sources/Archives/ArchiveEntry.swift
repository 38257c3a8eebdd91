/// What an archive says about one of its members.
package struct ArchiveEntry: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case file
        case directory
        case symbolicLink(target: [UInt8])
        /// Another name for an earlier member.
        case hardLink(target: [UInt8])
        /// A device, pipe or something that we do not know.
        case special
    }

    /// As the archive spells it; need not be UTF-8, and may be hostile.
    package var path: [UInt8]
    package var kind: Kind
    /// Permission bits.
    package var mode: UInt32
    /// Of the content; 0 for all but files.
    package var size: Int64
    /// Seconds since 1970.
    package var modified: Int64
    package var uid: UInt32
    package var gid: UInt32

    package init(
        path: [UInt8], kind: Kind, mode: UInt32, size: Int64 = 0, modified: Int64 = 0, uid: UInt32 = 0, gid: UInt32 = 0
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.size = size
        self.modified = modified
        self.uid = uid
        self.gid = gid
    }

    package var text: String { String(decoding: path, as: UTF8.self) }
}

/// Bytes that are no archive, or none that we read.
package struct ArchiveError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        case malformed
        /// It ends too early.
        case truncated
        /// Well-formed, and beyond what we do: encrypted, an unknown compression, a part of several.
        case unsupported
    }
    package let code: Code
    package let message: String
    /// The member at which it came up.
    package let entry: String?

    package init(_ code: Code, _ message: String, entry: String? = nil) {
        self.code = code
        self.message = message
        self.entry = entry
    }

    package var description: String { entry.map { "\($0): \(message)" } ?? message }
}
