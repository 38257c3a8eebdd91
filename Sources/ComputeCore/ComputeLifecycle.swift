/// What becomes of a compute when its lifetime is over, and after that.
package struct ComputeLifecycle: Hashable, Sendable {
    package enum Expiry: String, Hashable, Sendable, CaseIterable {
        case delete
        /// It ends but for its disk.
        case stop
        /// It stands still, with its memory.
        case pause
    }

    package var onExpiry: Expiry
    /// How long it is kept once it is stopped, or paused by the end of its lifetime; nil: as is usual on the server. Whole
    /// milliseconds.
    package var deleteAfterStopped: Duration?

    package init(onExpiry: Expiry = .delete, deleteAfterStopped: Duration? = nil) {
        self.onExpiry = onExpiry
        self.deleteAfterStopped = deleteAfterStopped
    }

    /// One second to ten years, in milliseconds: a server's own limit is below.
    package static let keptRange: ClosedRange<Int64> = 1000...315_360_000_000

    /// As events, rows and answers have it.
    package var document: JSONValue {
        .object(
            [
                "onExpiry": .string(onExpiry.rawValue),
                "deleteAfterStopped": deleteAfterStopped.map { .int($0.wholeMilliseconds) },
            ]
            .compactMapValues { $0 })
    }

    /// - Parameter usual: what is absent is as in it.
    package init(_ fields: FieldReader, over usual: ComputeLifecycle = ComputeLifecycle()) throws(Problem) {
        self = usual
        if let text = try fields.string("onExpiry") {
            guard let expiry = Expiry(rawValue: text) else {
                let words = Expiry.allCases.map(\.rawValue).joined(separator: ", ")
                throw .invalid(fields.path("onExpiry"), "\(fields.path("onExpiry")) must be one of \(words)")
            }
            onExpiry = expiry
        }
        if let kept = try fields.integer("deleteAfterStopped", in: Self.keptRange) {
            deleteAfterStopped = .milliseconds(kept)
        }
    }
}
