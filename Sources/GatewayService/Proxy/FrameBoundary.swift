package import NIOCore

/// Follows the frames of one direction of a WebSocket (RFC 6455 §5.2) by their headers alone, so that one who copies
/// the bytes knows where he may put a frame of his own. Pure; indifferent to how the bytes are cut.
package struct FrameBoundary: Sendable {
    private enum Place {
        /// Of a header: what is known of it so far, two to fourteen bytes in all.
        case header([UInt8])
        /// Inside a payload, with so many bytes left.
        case payload(UInt64)
    }
    private var place = Place.header([])

    package init() {}

    /// Whether the last frame is whole and the next has not begun.
    package var isBetweenFrames: Bool { if case .header(let bytes) = place { bytes.isEmpty } else { false } }

    package mutating func follow(_ bytes: ByteBuffer) {
        var rest = bytes.readableBytesView[...]
        while !rest.isEmpty {
            switch place {
            case .payload(let left):
                let step = Int(min(left, UInt64(rest.count)))
                rest = rest.dropFirst(step)
                place = left == UInt64(step) ? .header([]) : .payload(left - UInt64(step))
            case .header(var header):
                header.append(rest.removeFirst())
                place =
                    Self.payloadLength(after: header).map { $0 == 0 ? .header([]) : .payload($0) } ?? .header(header)
            }
        }
    }

    /// nil while the header is not whole.
    private static func payloadLength(after header: [UInt8]) -> UInt64? {
        guard header.count >= 2 else { return nil }
        let extended =
            switch header[1] & 0x7F {
            case 126: 2
            case 127: 8
            default: 0
            }
        let mask = header[1] & 0x80 != 0 ? 4 : 0
        guard header.count == 2 + extended + mask else { return nil }
        guard extended > 0 else { return UInt64(header[1] & 0x7F) }
        return header[2..<(2 + extended)].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A whole close frame, from a server.
    package static func close(_ code: UInt16, _ reason: String) -> ByteBuffer {
        var frame = ByteBuffer()
        let reason = reason.utf8.prefix(123)
        frame.writeBytes([0x88, UInt8(2 + reason.count)])
        frame.writeInteger(code)
        frame.writeBytes(reason)
        return frame
    }
}
