/// The id of a compute: one lower-case letter, then lower-case letters and digits, 20 characters in all.
///
/// It has no hyphen, so it is one DNS label that is safe in every host form: `<id>`, `<id>-<port>` and
/// `<port>-<id>` can never be read as something else (`a-80` against port 80 of `a`).
package struct ComputeID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let rawValue: String

    /// - Returns: nil when `rawValue` does not have the shape of an id. Ids of other lengths (8 to 32) are
    ///   accepted, so that the length may change without breaking ids that were given out.
    package init?(_ rawValue: some StringProtocol) {
        let bytes = rawValue.utf8
        guard (8...32).contains(bytes.count), let first = bytes.first, first.isLowercaseLetter,
            bytes.allSatisfy({ $0.isLowercaseLetter || $0.isDigit })
        else { return nil }
        self.rawValue = String(rawValue)
    }

    private init(unchecked rawValue: String) { self.rawValue = rawValue }

    /// 20 characters from the system's random source: 26 · 36^19, over 102 bits.
    package static func random() -> ComputeID { ComputeID(unchecked: .randomLabel(length: 20)) }

    package var description: String { rawValue }
    package static func < (a: ComputeID, b: ComputeID) -> Bool { a.rawValue < b.rawValue }
}

/// The tenant that owns a thing. Every event and every row carries one from the first day.
package struct GroupID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }

    package static let `default` = GroupID("default")
    package var description: String { rawValue }
}

/// The random name of a pool member's place (a pod, a local sandbox). Never reused, so a message meant for
/// one place can never be taken by its successor.
package struct MemberName: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }

    package static func random() -> MemberName { MemberName("m" + .randomLabel(length: 15)) }
    package var description: String { rawValue }
    package static func < (a: MemberName, b: MemberName) -> Bool { a.rawValue < b.rawValue }
}

/// Which incarnation of a compute's place this is; counts up when it is restarted elsewhere. Starts at 1.
package struct Generation: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let rawValue: Int
    package init(_ rawValue: Int) { self.rawValue = rawValue }

    package static let first = Generation(1)
    package var next: Generation { Generation(rawValue + 1) }
    package var description: String { String(rawValue) }
    package static func < (a: Generation, b: Generation) -> Bool { a.rawValue < b.rawValue }
}

/// The id of one request, in the answer's `X-Request-Id`, in its errors, its log lines and its events.
package struct RequestID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }

    package static func random() -> RequestID { RequestID("req_" + .randomLabel(length: 20)) }
    package var description: String { rawValue }
}

// Ids travel as plain strings and numbers.
extension ComputeID: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = ComputeID(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a compute id")
        }
        self = id
    }
    package func encode(to encoder: any Encoder) throws { try rawValue.encode(to: encoder) }
}

extension GroupID: Codable {
    package init(from decoder: any Decoder) throws { self.init(try String(from: decoder)) }
    package func encode(to encoder: any Encoder) throws { try rawValue.encode(to: encoder) }
}

extension MemberName: Codable {
    package init(from decoder: any Decoder) throws { self.init(try String(from: decoder)) }
    package func encode(to encoder: any Encoder) throws { try rawValue.encode(to: encoder) }
}

extension Generation: Codable {
    package init(from decoder: any Decoder) throws { self.init(try Int(from: decoder)) }
    package func encode(to encoder: any Encoder) throws { try rawValue.encode(to: encoder) }
}

extension String {
    /// A lower-case letter followed by lower-case letters and digits, from the system's random source.
    package static func randomLabel(length: Int) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz".utf8)
        let all = letters + Array("0123456789".utf8)
        var generator = SystemRandomNumberGenerator()
        var bytes = [letters.randomElement(using: &generator)!]
        while bytes.count < length {
            // Twelve characters, 36^12 labels, from each number: every number is a call of the kernel.
            var number = UInt64.random(in: 0..<4_738_381_338_321_616_896, using: &generator)
            for _ in 0..<Swift.min(12, length - bytes.count) {
                bytes.append(all[Int(number % 36)])
                number /= 36
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension UInt8 {
    package var isLowercaseLetter: Bool { self >= UInt8(ascii: "a") && self <= UInt8(ascii: "z") }
    package var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
}
