package import EventSourcing

package struct TemplatePage: Sendable {
    package var templates: [TemplateSummary]
    /// Where to go on; nil when this was the last page.
    package var next: Cursor?

    /// - Parameter found: up to one more than `limit`, which tells that there is a next page.
    package init(_ found: [TemplateSummary], limit: Int) {
        templates = Array(found.prefix(limit))
        next =
            found.count > limit ? templates.last.map { NameCursor(.templates, after: $0.newest.spec.name).cursor } : nil
    }
}

package struct TemplateRevisionPage: Sendable {
    package var revisions: [TemplateRevision]
    /// Where to go on; nil when this was the last page.
    package var next: Cursor?

    /// - Parameter found: up to one more than `limit`, which tells that there is a next page.
    package init(_ found: [TemplateRevision], limit: Int) {
        revisions = Array(found.prefix(limit))
        next =
            found.count > limit ? revisions.last.map { TemplateRevisionCursor(before: $0.revision).cursor } : nil
    }
}

/// A place in the revisions of a template, which are listed from the newest to the oldest.
package struct TemplateRevisionCursor: Hashable, Sendable {
    package var revision: Int64
    private static let version: UInt8 = 1

    package init(before revision: Int64) { self.revision = revision }

    package var cursor: Cursor { Cursor(kind: .templateRevisions, version: Self.version, payload: revision.bytes) }

    package init(_ cursor: Cursor) throws(EventStoreError) {
        let payload = try cursor.payload(kind: .templateRevisions, version: Self.version)
        guard let revision = Int64(bytes: payload[...]) else {
            throw EventStoreError(.badCursor, "the cursor is not one of this list")
        }
        self.revision = revision
    }
}
