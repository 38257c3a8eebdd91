import ComputeCore
import Crypto

/// The name of a master key, stored beside everything that it wrapped.
package struct MasterKeyID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    /// - Returns: nil unless it is 1 to 32 of `a-z`, `0-9` and `-`.
    package init?(_ text: some StringProtocol) {
        let isAllowed = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
        }
        guard isAllowed, (1...32).contains(text.utf8.count) else { return nil }
        rawValue = String(text)
    }

    package var description: String { rawValue }
}

/// The keys that wrap data keys. The first wraps what is new; the others only open what they wrapped before.
package struct MasterKeys: Sendable {
    package let current: MasterKeyID
    private let keys: [MasterKeyID: SymmetricKey]

    /// Reads `id:key`, one a line, the key 32 bytes in base64url. Blank lines and lines that begin with `#` are skipped.
    /// - Throws: `MasterKeysError`, which names the line and never quotes it.
    package init(parsing text: String) throws(MasterKeysError) {
        var first: MasterKeyID?
        var keys: [MasterKeyID: SymmetricKey] = [:]
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            if line.hasPrefix("#") || line.allSatisfy(\.isWhitespace) { continue }
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let id = MasterKeyID(parts[0]) else { throw .init(index + 1, "must be id:key") }
            guard let bytes = [UInt8](base64URL: parts[1]), bytes.count == 32 else {
                throw .init(index + 1, "the key must be 32 bytes in base64url, 43 characters")
            }
            guard keys[id] == nil else { throw .init(index + 1, "this id is there twice") }
            guard keys.count < Self.most else { throw .init(index + 1, "at most \(Self.most) keys") }
            keys[id] = SymmetricKey(data: bytes)
            first = first ?? id
        }
        guard let first else { throw .init(1, "there is no key") }
        current = first
        self.keys = keys
    }

    package static let most = 16

    func key(_ id: MasterKeyID) throws(SealingError) -> SymmetricKey {
        guard let key = keys[id] else { throw .unknownMasterKey(id) }
        return key
    }
}

extension MasterKeys: CustomStringConvertible, CustomReflectable {
    package var description: String { "…" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

package struct MasterKeysError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
    init(_ line: Int, _ message: String) { description = "line \(line): \(message)" }
}
