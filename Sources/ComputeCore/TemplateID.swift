/// The id of a template.
package struct TemplateID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let rawValue: String

    /// - Returns: nil when `rawValue` does not have the shape of one.
    package init?(_ rawValue: some StringProtocol) {
        guard rawValue.isRandomLabel else { return nil }
        self.rawValue = String(rawValue)
    }

    private init(unchecked rawValue: String) { self.rawValue = rawValue }

    package static func random() -> TemplateID { TemplateID(unchecked: .randomLabel(length: 20)) }
    package var description: String { rawValue }
    package static func < (a: TemplateID, b: TemplateID) -> Bool { a.rawValue < b.rawValue }
}

/// Which template a compute was made from, and which of its revisions.
package struct UsedTemplate: Hashable, Sendable {
    package var id: TemplateID
    /// 1 for the first.
    package var revision: Int64

    package init(id: TemplateID, revision: Int64) {
        self.id = id
        self.revision = revision
    }
}
