import ComputeCore

/// Cursors travel as base64url of: a byte for the list they belong to, a byte for the layout, the place. The first two
/// make a cursor of another list, or of a version that packed it differently, an error instead of a wrong page.
extension Cursor {
    package enum Kind: UInt8, Sendable {
        case events = 0x65
        case summaries = 0x73
        case access = 0x61
        case secrets = 0x6b
        case filesystems = 0x66
        case templates = 0x74
        case templateRevisions = 0x72
        case pools = 0x70
    }

    package init(kind: Kind, version: UInt8, payload: [UInt8]) {
        self.init(rawValue: ([kind.rawValue, version] + payload).base64URL)
    }

    /// - Throws: `.badCursor` for anything that `init(kind:version:payload:)` did not make.
    package func payload(kind: Kind, version: UInt8) throws(EventStoreError) -> [UInt8] {
        // The longest cursor is far below this; a client's megabyte is not worth decoding.
        guard rawValue.utf8.count <= 256 else { throw Self.refused }
        guard let bytes = [UInt8](base64URL: rawValue), bytes.starts(with: [kind.rawValue, version]) else {
            throw Self.refused
        }
        return Array(bytes.dropFirst(2))
    }

    private static let refused = EventStoreError(.badCursor, "the cursor is not one of this list")
}

/// The place after one position of the log, for stores whose positions are handed out in the order of commit.
package struct PositionCursor: Hashable, Comparable, Sendable {
    package var position: Int64
    package init(position: Int64) { self.position = position }

    package static func < (one: PositionCursor, other: PositionCursor) -> Bool { one.position < other.position }

    private static let version: UInt8 = 1

    package var cursor: Cursor { Cursor(kind: .events, version: Self.version, payload: position.bytes) }

    /// nil, the start of the log, is position 0.
    package init(_ cursor: Cursor?) throws(EventStoreError) {
        guard let cursor else {
            self.position = 0
            return
        }
        let payload = try cursor.payload(kind: .events, version: Self.version)
        guard payload.count == 8, let position = Int64(bytes: payload[...]), position >= 0 else {
            throw EventStoreError(.badCursor, "the cursor is not one of this list")
        }
        self.position = position
    }
}

extension Int64 {
    /// Eight bytes, big-endian.
    package var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (56 - 8 * $0)) } }

    package init?(bytes: ArraySlice<UInt8>) {
        guard bytes.count == 8 else { return nil }
        self = bytes.reduce(0) { $0 << 8 | Int64($1) }
    }
}
