/// How far a copy is.
///
///     pending ─begun─▶ inProgress ─ended─▶ complete
///        │                 └──────failed─▶ failed
///        └───────────────────────failed──▶ failed
package enum OverlayState: Hashable, Codable, Sendable {
    /// Others are copied first.
    case pending
    case inProgress
    /// All of it is there, and on the disk.
    case complete
    /// What was copied until then is still there.
    case failed(String)

    package var name: String {
        switch self {
        case .pending: "pending"
        case .inProgress: "in_progress"
        case .complete: "complete"
        case .failed: "failed"
        }
    }

    package var isOver: Bool {
        switch self {
        case .pending, .inProgress: false
        case .complete, .failed: true
        }
    }
}
