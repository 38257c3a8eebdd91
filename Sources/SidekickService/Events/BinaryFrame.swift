package import ComputeCore

/// The binary spelling of a WebSocket message (contract §2.3). Clients ask for it by default, so it is understood;
/// nothing is ever sent in it, because text is what all of them understand (§2.5).
///
///     u8 kind │ u16 n, channel │ u16 n, type │ u32 n, data        data: u16 pairs, then per pair
///                                                                 u16 n, key │ u8 type │ u32 n, value
package struct BinaryFrame: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        case subscribe = 1
        case unsubscribe, data, error, connected
    }

    package var kind: Kind
    package var channel: String
    package var type: String
    package var data: [String: JSONValue]

    package init(kind: Kind, channel: String, type: String, data: [String: JSONValue]) {
        self.kind = kind
        self.channel = channel
        self.type = type
        self.data = data
    }

    /// - Returns: nil when the bytes are not exactly one frame.
    package init?(_ bytes: [UInt8]) {
        var reader = Reader(rest: bytes[...])
        guard let kind = reader.integer(1).flatMap({ Kind(rawValue: UInt8($0)) }),
            let channel = reader.integer(2).flatMap({ reader.text($0) }),
            let type = reader.integer(2).flatMap({ reader.text($0) }),
            let data = reader.integer(4).flatMap({ reader.bytes($0) }), reader.rest.isEmpty,
            let pairs = Self.pairs(data)
        else { return nil }
        self.init(kind: kind, channel: channel, type: type, data: pairs)
    }

    private static func pairs(_ bytes: ArraySlice<UInt8>) -> [String: JSONValue]? {
        guard !bytes.isEmpty else { return [:] }
        var reader = Reader(rest: bytes)
        guard let count = reader.integer(2) else { return nil }
        var pairs: [String: JSONValue] = [:]
        for _ in 0..<count {
            guard let key = reader.integer(2).flatMap({ reader.text($0) }), let type = reader.integer(1),
                let value = reader.integer(4).flatMap({ reader.bytes($0) }), let decoded = Self.value(type, value)
            else { return nil }
            pairs[key] = decoded
        }
        return reader.rest.isEmpty ? pairs : nil
    }

    private static func value(_ type: Int, _ bytes: ArraySlice<UInt8>) -> JSONValue? {
        switch type {
        case 1: return String(validating: bytes, as: UTF8.self).map(JSONValue.string)
        case 2:
            guard bytes.count == 8 else { return nil }
            return .double(Double(bitPattern: bytes.reduce(0) { $0 << 8 | UInt64($1) }))
        case 3: return bytes.count == 1 ? .bool(bytes.first != 0) : nil
        case 4: return .string(String(decoding: bytes, as: UTF8.self))
        default: return nil
        }
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        /// Big-endian.
        mutating func integer(_ size: Int) -> Int? { bytes(size)?.reduce(0) { $0 << 8 | Int($1) } }

        mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
            guard count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }

        mutating func text(_ count: Int) -> String? {
            bytes(count).flatMap { String(validating: $0, as: UTF8.self) }
        }
    }
}
