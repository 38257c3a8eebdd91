/// Keeps the first part of a stream, and counts the rest. What is written beyond is read and dropped, so that the
/// command goes on as it would anywhere else.
package struct OutputCapture: Sendable {
    /// As JSON. Two streams of one answer stay below what clients and proxies can hold as one document.
    package static let limit = 8 << 20

    private var room: Int
    private var bytes: [UInt8] = []
    private var isTruncated = false

    package init(limit: Int = OutputCapture.limit) { room = limit }

    /// - Parameter borrow: asked for so many bytes, says how many of them there may be.
    package mutating func append(_ chunk: UnsafeRawBufferPointer, borrow: (Int) -> Int = { $0 }) {
        guard !isTruncated else { return }
        var granted = borrow(min(chunk.reduce(0) { $0 + Self.size($1) }, room))
        room -= granted
        let kept = chunk.prefix { byte in
            granted -= Self.size(byte)
            return granted >= 0
        }
        bytes.append(contentsOf: kept)
        isTruncated = kept.count < chunk.count
    }

    /// What it takes at most in a JSON string.
    private static func size(_ byte: UInt8) -> Int {
        switch byte {
        case 0x09, 0x0A, 0x0D, 0x22, 0x5C: 2
        case ..<0x20: 6
        default: 1
        }
    }

    package struct Text: Hashable, Sendable {
        package var text: String
        package var isTruncated: Bool

        package init(text: String, isTruncated: Bool) {
            self.text = text
            self.isTruncated = isTruncated
        }
    }

    /// Bytes that are not UTF-8 become U+FFFD; NULs stay. A character cut by the limit goes without a trace.
    package consuming func text() -> Text {
        let end = isTruncated ? UTF8Boundary.completePrefix(of: bytes) : bytes.count
        return Text(text: String(decoding: bytes[..<end], as: UTF8.self), isTruncated: isTruncated)
    }
}
