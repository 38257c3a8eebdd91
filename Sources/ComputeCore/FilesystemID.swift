/// The id of a filesystem, which is also what its volume is called where it is kept.
package struct FilesystemID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let rawValue: String

    /// - Returns: nil when `rawValue` does not have the shape of one.
    package init?(_ rawValue: some StringProtocol) {
        guard rawValue.isRandomLabel else { return nil }
        self.rawValue = String(rawValue)
    }

    private init(unchecked rawValue: String) { self.rawValue = rawValue }

    package static func random() -> FilesystemID { FilesystemID(unchecked: .randomLabel(length: 20)) }
    package var description: String { rawValue }
    package static func < (a: FilesystemID, b: FilesystemID) -> Bool { a.rawValue < b.rawValue }
}
