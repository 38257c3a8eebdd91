/// Keeps the first part of a stream, and counts the rest. What is written beyond is read and dropped, so that the
/// command goes on as it would anywhere else.
package struct OutputCapture: Sendable {
    /// Two streams of one answer stay below what clients and proxies can hold as one JSON document.
    package static let limit = 8 << 20

    private let limit: Int
    private var bytes: [UInt8] = []
    private var dropped = 0

    package init(limit: Int = OutputCapture.limit) { self.limit = limit }

    package mutating func append(_ chunk: UnsafeRawBufferPointer) {
        let taken = min(chunk.count, limit - bytes.count)
        bytes.append(contentsOf: chunk[..<taken])
        dropped += chunk.count - taken
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
        let end = dropped > 0 ? UTF8Boundary.completePrefix(of: bytes) : bytes.count
        return Text(text: String(decoding: bytes[..<end], as: UTF8.self), isTruncated: dropped > 0)
    }
}
