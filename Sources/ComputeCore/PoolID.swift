/// The id of a group's pool.
package struct PoolID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let rawValue: String

    /// - Returns: nil when `rawValue` does not have the shape of one.
    package init?(_ rawValue: some StringProtocol) {
        guard rawValue.isRandomLabel else { return nil }
        self.rawValue = String(rawValue)
    }

    private init(unchecked rawValue: String) { self.rawValue = rawValue }

    package static func random() -> PoolID { PoolID(unchecked: .randomLabel(length: 20)) }
    package var description: String { rawValue }
    package static func < (a: PoolID, b: PoolID) -> Bool { a.rawValue < b.rawValue }
}
