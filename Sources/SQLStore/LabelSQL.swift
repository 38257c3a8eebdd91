import ComputeCore
import ComputeDomain

/// The labels of computes, in the order of lists.
struct LabelSQL {
    let db: any SQLConnection

    /// Makes the rows of `old` those of `new`: the same compute, before and after; nil: it is not there.
    func replace(_ old: ComputeSummary?, with new: ComputeSummary?) throws {
        let (before, after) = (old?.labels ?? [:], new?.labels ?? [:])
        guard let row = new ?? old else { return }
        for (key, value) in before where after[key] != value {
            try db.run(
                sql: """
                    DELETE FROM compute_labels WHERE group_id = :group AND key = :key AND value = :value
                    AND created_at = :created_at AND compute_id = :id
                    """, arguments: arguments(row, key, value))
        }
        for (key, value) in after where before[key] != value {
            try db.run(
                sql: """
                    INSERT INTO compute_labels (group_id, key, value, created_at, compute_id)
                    VALUES (:group, :key, :value, :created_at, :id)
                    """, arguments: arguments(row, key, value))
        }
    }

    private func arguments(_ row: ComputeSummary, _ key: String, _ value: String) -> SQLArguments {
        [
            "group": row.group.rawValue, "key": key, "value": value, "created_at": row.createdAt.milliseconds,
            "id": row.id.rawValue,
        ]
    }
}

extension ComputeEvent {
    /// Whether the labels of a compute may be others after an event of that type.
    static func changesLabels(_ type: String) -> Bool {
        [TypeName.requested, .metadataChanged].map(\.rawValue).contains(type)
    }
}
