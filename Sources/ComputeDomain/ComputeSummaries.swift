package import ComputeCore
package import EventSourcing

/// The read model of computes. Written in the transaction of the events: a reader sees its own write.
package protocol ComputeSummaries: Sendable {
    /// - Parameter group: whose compute it must be; nil only inside the system. Another group's is nil, as if absent.
    func summary(_ id: ComputeID, in group: GroupID?) async throws(EventStoreError) -> ComputeSummary?

    /// Newest first.
    /// - Parameter limit: at most this many, 1 to 1000.
    func summaries(in group: GroupID, matching filter: SummaryFilter, after cursor: Cursor?, limit: Int)
        async throws(EventStoreError) -> SummaryPage

    /// The living compute of that name.
    func named(_ name: String, namespace: String, in group: GroupID) async throws(EventStoreError) -> ComputeSummary?

    /// For the reaper: computes of all groups that have a place and whose time is up before `time`, the longest overdue
    /// first.
    func living(expiringBefore time: WallTime, limit: Int) async throws(EventStoreError) -> [ComputeSummary]

    /// For the sweep: everything of all groups that has not ended, in order of id, after `id`.
    func unended(after id: ComputeID?, limit: Int) async throws(EventStoreError) -> [ComputeSummary]
}

package struct SummaryFilter: Hashable, Sendable {
    /// nil: all.
    package var states: Set<ComputeSummary.State>?
    /// Of those that have a name.
    package var namespace: String?
    /// Within the namespace, which must be there as well.
    package var name: String?
    /// All of them must be among the compute's.
    package var labels: [String: String] = [:]
    /// From then on, and before then.
    package var createdFrom: WallTime?
    package var createdUntil: WallTime?

    package init(states: Set<ComputeSummary.State>? = nil, namespace: String? = nil, name: String? = nil) {
        self.states = states
        self.namespace = namespace
        self.name = name
    }

    package func accepts(_ summary: ComputeSummary) -> Bool {
        (states?.contains(summary.state) ?? true)
            && (namespace.map { $0 == summary.namespace && summary.name != nil } ?? true)
            && (name.map { $0 == summary.name } ?? true)
            && (createdFrom.map { $0 <= summary.createdAt } ?? true)
            && (createdUntil.map { summary.createdAt < $0 } ?? true)
            && (labels.isEmpty || Self.holds(labels, summary.labels))
    }

    private static func holds(_ wanted: [String: String], _ labels: [String: String]) -> Bool {
        wanted.allSatisfy { labels[$0.key] == $0.value }
    }

    /// Whether only what is alive can pass: those are few, however long the history.
    package var isOfTheLiving: Bool { states?.contains(.ended) == false }
}

package struct SummaryPage: Sendable {
    package var summaries: [ComputeSummary]
    /// Where to go on; nil when this was the last page.
    package var next: Cursor?

    package init(summaries: [ComputeSummary], next: Cursor?) {
        self.summaries = summaries
        self.next = next
    }
}

/// A place in a list of summaries: after the compute that was made then, ids deciding between equals.
package struct SummaryCursor: Hashable, Sendable {
    package var createdAt: WallTime
    package var id: ComputeID

    package init(after summary: ComputeSummary) {
        self.createdAt = summary.createdAt
        self.id = summary.id
    }

    private static let version: UInt8 = 1

    package var cursor: Cursor {
        Cursor(kind: .summaries, version: Self.version, payload: createdAt.milliseconds.bytes + Array(id.rawValue.utf8))
    }

    package init(_ cursor: Cursor) throws(EventStoreError) {
        let payload = try cursor.payload(kind: .summaries, version: Self.version)
        guard payload.count > 8, let milliseconds = Int64(bytes: payload.prefix(8)),
            let id = ComputeID(String(decoding: payload.dropFirst(8), as: UTF8.self))
        else { throw EventStoreError(.badCursor, "the cursor is not one of this list") }
        self.createdAt = WallTime(milliseconds: milliseconds)
        self.id = id
    }
}
