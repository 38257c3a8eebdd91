package import ComputeCore
import FoundationEssentials

/// How output is written into JSON.
package enum OutputEncoding: String, Sendable {
    /// As text; bytes that are no UTF-8 are replaced.
    case raw
    /// Exactly, in base64.
    case base64

    /// - Throws: a 400 naming `field`. Nothing reads as raw.
    package static func named(_ name: String?, field: String = "encoding") throws(Problem) -> OutputEncoding {
        guard let encoding = OutputEncoding(rawValue: name ?? "raw") else {
            throw .invalid(field, "\(field) must be raw or base64")
        }
        return encoding
    }
}

/// How the output of a channel becomes events: one type per stream, the same fields in all.
package struct OutputFormat: Hashable, Sendable {
    /// `terminal:output`; or `command:stdout`, `command:stderr`.
    package var types: [String]
    package var encoding: OutputEncoding
    /// In every event: which terminal, which command.
    package var fields: [String: JSONValue]
    /// Most bytes kept of each stream.
    package var capacity: Int

    package init(types: [String], encoding: OutputEncoding = .raw, fields: [String: JSONValue] = [:], capacity: Int) {
        self.types = types
        self.encoding = encoding
        self.fields = fields
        self.capacity = capacity
    }

    /// Small enough to take turns with other channels, large enough that frames cost little.
    static let pieceBytes = 32 << 10

    func event(_ stream: Int, channel: String, _ text: OutputText) -> SocketEvent {
        SocketEvent(types[stream], channel: channel, fields.merging(text.fields) { _, output in output })
    }
}

/// A piece of output, ready for JSON.
package struct OutputText: Hashable, Sendable {
    package let encoding: OutputEncoding
    package let text: String
    /// The offset of the first byte that is in `text`.
    package let offset: Int
    /// The offset to go on from.
    package let next: Int
    /// Bytes that were asked for and are gone.
    package let dropped: Int

    /// - Parameter isLast: nothing will follow, so a character that has only begun will never be whole; else it is left
    ///   to the next piece.
    package init(_ piece: OutputRing.Piece, _ encoding: OutputEncoding, isLast: Bool) {
        self.encoding = encoding
        switch encoding {
        case .base64:
            text = Data(piece.bytes).base64EncodedString()
            offset = piece.offset
            next = piece.offset + piece.bytes.count
            dropped = piece.dropped
        case .raw:
            // A gap may end inside a character, whose rest says nothing.
            let rest = piece.dropped == 0 ? 0 : piece.bytes.prefix(3).prefix { $0 & 0b1100_0000 == 0b1000_0000 }.count
            let end = isLast ? piece.bytes.count : UTF8Boundary.completePrefix(of: piece.bytes)
            text = String(decoding: piece.bytes[rest..<max(rest, end)], as: UTF8.self)
            offset = piece.offset + rest
            next = piece.offset + max(rest, end)
            dropped = piece.dropped + rest
        }
    }

    package var isEmpty: Bool { text.isEmpty && dropped == 0 }

    package var fields: [String: JSONValue] {
        var fields: [String: JSONValue] = [
            "output": .string(text), "encoding": .string(encoding.rawValue), "offset": .int(Int64(offset)),
            "next_offset": .int(Int64(next)),
        ]
        if dropped > 0 { fields["dropped_bytes"] = .int(Int64(dropped)) }
        return fields
    }
}
