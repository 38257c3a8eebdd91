package import ComputeCore
import EventSourcing

/// The life of one compute.
///
/// ```
///   absent ── request ──▶ requested ── start ──▶ running ⟲ extend, start (of a higher generation)
///                             │                     │
///                             └──────── end ────────┴──▶ ended(reason)
/// ```
package enum Compute: Aggregate {
    package typealias Event = ComputeEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes requested.
        case absent
        /// Its name and its share of the quota are taken; it has no place yet. Becomes running or ended.
        case requested(ComputeSpec)
        /// It has a place. Stays so (extended, started again elsewhere) or becomes ended.
        case running(ComputeSpec, Placement, expiresAt: WallTime)
        /// Over for good. An ended compute never runs again; its name may be another's by now.
        case ended(ComputeSpec, EndReason)

        package var spec: ComputeSpec? {
            switch self {
            case .absent: nil
            case .requested(let spec), .running(let spec, _, _), .ended(let spec, _): spec
            }
        }
    }

    /// Every command that needs the time carries it.
    package enum Command: Hashable, Sendable {
        case request(ComputeSpec, at: WallTime)
        case start(Placement, at: WallTime)
        /// Never ends later than `maximum` from now, and never earlier than before.
        case extend(by: Duration, maximum: Duration, at: WallTime)
        case end(EndReason)
    }

    package enum Rejection: Error, Hashable, Sendable {
        case absent
        case alreadyRequested
        /// It runs, and the placement is neither that one nor a later generation.
        case alreadyRunning(Placement)
        case notRunningYet
        case ended(EndReason)
    }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [ComputeEvent] {
        switch (command, state) {
        case (.request(let spec, let now), .absent): return [.requested(spec, at: now)]
        case (.request, .requested), (.request, .running), (.request, .ended): throw .alreadyRequested

        case (.start, .absent): throw .absent
        case (.start(let placement, let now), .requested(let spec)):
            return [.started(placement, expiresAt: now + spec.timeout)]
        case (.start(let placement, _), .running(_, let current, let expiresAt)):
            if placement == current { return [] }
            guard placement.generation > current.generation else { throw .alreadyRunning(current) }
            // A new place is no new life: the lifetime goes on as it was.
            return [.started(placement, expiresAt: expiresAt)]
        case (.start, .ended(_, let reason)): throw .ended(reason)

        case (.extend, .absent): throw .absent
        case (.extend, .requested): throw .notRunningYet
        case (.extend(let duration, let maximum, let now), .running(_, _, let expiresAt)):
            // Cut to the maximum before adding, so that no sum can overflow.
            let wanted = max(now, expiresAt) + min(max(duration, .zero), maximum)
            let granted = max(expiresAt, min(wanted, now + maximum))
            return granted == expiresAt ? [] : [.extended(expiresAt: granted)]
        case (.extend, .ended(_, let reason)): throw .ended(reason)

        case (.end, .absent): throw .absent
        case (.end(let reason), .requested), (.end(let reason), .running): return [.ended(reason)]
        case (.end, .ended): return []
        }
    }

    /// Follows what was recorded. An event that fits no state (none is ever decided) changes nothing.
    package static func evolve(_ state: State, _ event: ComputeEvent) -> State {
        switch (event, state) {
        case (.requested(let spec, _), .absent): .requested(spec)
        case (.started(let placement, let expiresAt), .requested(let spec)),
            (.started(let placement, let expiresAt), .running(let spec, _, _)):
            .running(spec, placement, expiresAt: expiresAt)
        case (.extended(let expiresAt), .running(let spec, let placement, _)):
            .running(spec, placement, expiresAt: expiresAt)
        case (.ended(let reason), .requested(let spec)), (.ended(let reason), .running(let spec, _, _)):
            .ended(spec, reason)
        case (.requested, .requested), (.requested, .running), (.requested, .ended), (.started, .absent),
            (.started, .ended), (.extended, .absent), (.extended, .requested), (.extended, .ended), (.ended, .absent),
            (.ended, .ended):
            state
        }
    }
}

/// Whoever keeps extending a compute makes its history long.
extension Compute {
    package static func condensed(_ state: State) -> [ComputeEvent]? {
        // When it was requested is of no consequence to the state.
        let start = WallTime(milliseconds: 0)
        switch state {
        case .absent: return []
        case .requested(let spec): return [.requested(spec, at: start)]
        case .running(let spec, let placement, let expiresAt):
            return [.requested(spec, at: start), .started(placement, expiresAt: expiresAt)]
        case .ended(let spec, let reason): return [.requested(spec, at: start), .ended(reason)]
        }
    }
}
