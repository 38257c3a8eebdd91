package import ComputeCore
package import SidekickProtocol

/// Who this member belongs to. Decides; touches no disk.
///
///     unclaimed ──request──► recording ──recorded──► claimed
///         ▲                      │
///         └──────recordFailed────┘
package enum ClaimState: Hashable, Sendable {
    /// Idle in the pool: anybody with a valid credential may have it.
    case unclaimed
    /// A claim was let through and is on its way to the disk. Not answered yet, and nobody else gets in.
    case recording(ClaimRecord)
    /// For good: there is no way back, in this process or the next one over the same directory.
    case claimed(ClaimRecord)

    package enum Order: Hashable, Sendable {
        /// Write it to the disk, then say `recorded` or `recordFailed`.
        case record(ClaimRecord)
        /// The same claim again, because its answer was lost.
        case answerClaimed
        /// Somebody else has it.
        case answerAlreadyClaimed
        /// The outcome of a write decides; ask again after it.
        case waitForRecording
    }

    package mutating func claimRequested(_ record: ClaimRecord) -> Order {
        switch self {
        case .unclaimed:
            self = .recording(record)
            return .record(record)
        case .recording: return .waitForRecording
        case .claimed(let current): return current == record ? .answerClaimed : .answerAlreadyClaimed
        }
    }

    package mutating func recorded() {
        guard case .recording(let record) = self else { return }
        self = .claimed(record)
    }

    /// It may or may not be on the disk; the writer has removed what it could. The member stays usable.
    package mutating func recordFailed() {
        guard case .recording = self else { return }
        self = .unclaimed
    }

    package var claimed: ClaimRecord? {
        guard case .claimed(let record) = self else { return nil }
        return record
    }
}

/// An accepted claim, as it is kept on disk.
package struct ClaimRecord: Codable, Hashable, Sendable {
    package var order: ClaimOrder
    /// Of the body as it was sent: "the same claim again" means the same bytes.
    package var bodySHA256: String

    package init(order: ClaimOrder, bodySHA256: String) {
        self.order = order
        self.bodySHA256 = bodySHA256
    }

    package var computeID: ComputeID { order.computeId }
}
