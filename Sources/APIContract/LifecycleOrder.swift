package import ComputeCore

/// `lifecycle` of a create or a change, checked. What is absent is as usual, or stays.
package struct LifecycleOrder: Hashable, Sendable {
    package var onExpiry: ComputeLifecycle.Expiry?
    package var deleteAfterStopped: Duration?

    static let fields: Set = ["onExpiry", "deleteAfterStopped"]

    /// nil when there is none.
    init?(_ fields: FieldReader) throws(Problem) {
        guard let lifecycle = try fields.object("lifecycle") else { return nil }
        let rules = FieldReader(lifecycle, prefix: "lifecycle")
        for field in lifecycle.keys.sorted() where !Self.fields.contains(field) && rules.value(field) != nil {
            throw .unsupported("lifecycle.\(field.prefix(64))")
        }
        let read = try ComputeLifecycle(rules)
        onExpiry = rules.value("onExpiry") == nil ? nil : read.onExpiry
        deleteAfterStopped = read.deleteAfterStopped
    }

    var made: ComputeLifecycle {
        ComputeLifecycle(onExpiry: onExpiry ?? .delete, deleteAfterStopped: deleteAfterStopped)
    }
}
