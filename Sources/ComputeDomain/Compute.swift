package import ComputeCore
import EventSourcing

/// The life of one compute.
///
/// ```
///   absent ── request ──▶ requested ── start ──▶ running ⟲ extend, change, start (of a higher generation)
///                             │                  │  ▲  │
///                             │            pause ▼  │ resume, start (of a higher generation)
///                             │                 paused ⟲ extend, change
///                             └──────── end ────────┴──▶ ended(reason)
/// ```
package enum Compute: Aggregate {
    package typealias Event = ComputeEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes requested.
        case absent
        /// Its name and its share of the quota are taken; it has no place yet. Becomes running or ended.
        case requested(ComputeSpec)
        /// It has a place. Stays so (extended, changed, started again elsewhere), or becomes paused or ended.
        case running(ComputeSpec, Placement, expiresAt: WallTime)
        /// Its place is there and stands still: memory and disk, but no processor. The lifetime goes on. Becomes running
        /// or ended.
        case paused(ComputeSpec, Placement, expiresAt: WallTime)
        /// Over for good. An ended compute never runs again; its name may be another's by now.
        case ended(ComputeSpec, EndReason)

        package var spec: ComputeSpec? {
            switch self {
            case .absent: nil
            case .requested(let spec), .running(let spec, _, _), .paused(let spec, _, _), .ended(let spec, _): spec
            }
        }
    }

    /// Every command that needs the time carries it.
    package enum Command: Hashable, Sendable {
        case request(ComputeSpec, at: WallTime)
        case start(Placement, at: WallTime)
        /// Never ends later than `maximum` from now, and never earlier than before.
        case extend(by: Duration, maximum: Duration, at: WallTime)
        case change(ComputeChange, at: WallTime)
        case pause
        case resume
        case end(EndReason)
    }

    package enum Rejection: Error, Hashable, Sendable {
        case absent
        case alreadyRequested
        /// It runs, and the placement is neither that one nor a later generation.
        case alreadyRunning(Placement)
        case notRunningYet
        case ended(EndReason)
        case metadataTooLarge
        case tooManyPorts
    }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [ComputeEvent] {
        switch (command, state) {
        case (.request(let spec, let now), .absent): return [.requested(spec, at: now)]
        case (.request, .requested), (.request, .running), (.request, .paused), (.request, .ended):
            throw .alreadyRequested

        case (.start(let placement, let now), .requested(let spec)):
            return [.started(placement, expiresAt: now + spec.timeout)]
        case (.start(let placement, _), .running(_, let current, let expiresAt)):
            if placement == current { return [] }
            return try startedAgain(placement, after: current, expiresAt: expiresAt)
        case (.start(let placement, _), .paused(_, let current, let expiresAt)):
            return try startedAgain(placement, after: current, expiresAt: expiresAt)

        case (.extend(let duration, let maximum, let now), .running(_, _, let expiresAt)),
            (.extend(let duration, let maximum, let now), .paused(_, _, let expiresAt)):
            // Cut to the maximum before adding, so that no sum can overflow.
            let wanted = max(now, expiresAt) + min(max(duration, .zero), maximum)
            let granted = max(expiresAt, min(wanted, now + maximum))
            return granted == expiresAt ? [] : [.extended(expiresAt: granted)]

        case (.change(let change, let now), .running(let spec, _, let expiresAt)),
            (.change(let change, let now), .paused(let spec, _, let expiresAt)):
            return try change.events(spec, expiresAt: expiresAt, at: now)

        case (.pause, .running(_, let placement, _)): return [.paused(placement.generation)]
        case (.pause, .paused), (.resume, .running): return []
        case (.resume, .paused(_, let placement, _)): return [.resumed(placement)]

        case (.extend, .requested), (.change, .requested), (.pause, .requested), (.resume, .requested):
            throw .notRunningYet

        case (.end(let reason), .requested), (.end(let reason), .running), (.end(let reason), .paused):
            return [.ended(reason)]
        case (.end, .ended): return []

        case (.start, .absent), (.extend, .absent), (.change, .absent), (.pause, .absent), (.resume, .absent),
            (.end, .absent):
            throw .absent
        case (.start, .ended(_, let reason)), (.extend, .ended(_, let reason)), (.change, .ended(_, let reason)),
            (.pause, .ended(_, let reason)), (.resume, .ended(_, let reason)):
            throw .ended(reason)
        }
    }

    /// A new place is no new life: the lifetime goes on as it was.
    private static func startedAgain(
        _ placement: Placement, after current: Placement, expiresAt: WallTime
    ) throws(Rejection) -> [ComputeEvent] {
        guard placement.generation > current.generation else { throw .alreadyRunning(current) }
        return [.started(placement, expiresAt: expiresAt)]
    }

    /// Follows what was recorded. An event that fits no state (none is ever decided) changes nothing.
    package static func evolve(_ state: State, _ event: ComputeEvent) -> State {
        switch (event, state) {
        case (.requested(let spec, _), .absent): .requested(spec)
        case (.started(let placement, let expiresAt), .requested(let spec)),
            (.started(let placement, let expiresAt), .running(let spec, _, _)),
            (.started(let placement, let expiresAt), .paused(let spec, _, _)):
            .running(spec, placement, expiresAt: expiresAt)
        case (.extended(let expiresAt), .running(let spec, let placement, _)),
            (.expiryChanged(let expiresAt), .running(let spec, let placement, _)):
            .running(spec, placement, expiresAt: expiresAt)
        case (.extended(let expiresAt), .paused(let spec, let placement, _)),
            (.expiryChanged(let expiresAt), .paused(let spec, let placement, _)):
            .paused(spec, placement, expiresAt: expiresAt)
        case (.metadataChanged(let metadata), .running(let spec, let placement, let expiresAt)):
            .running(spec.having(metadata), placement, expiresAt: expiresAt)
        case (.metadataChanged(let metadata), .paused(let spec, let placement, let expiresAt)):
            .paused(spec.having(metadata), placement, expiresAt: expiresAt)
        case (.networkChanged(let network), .running(let spec, let placement, let expiresAt)):
            .running(spec.having(network), placement, expiresAt: expiresAt)
        case (.networkChanged(let network), .paused(let spec, let placement, let expiresAt)):
            .paused(spec.having(network), placement, expiresAt: expiresAt)
        case (.portsChanged(let ports), .running(let spec, let placement, let expiresAt)):
            .running(spec.having(ports), placement, expiresAt: expiresAt)
        case (.portsChanged(let ports), .paused(let spec, let placement, let expiresAt)):
            .paused(spec.having(ports), placement, expiresAt: expiresAt)
        case (.paused, .running(let spec, let placement, let expiresAt)):
            .paused(spec, placement, expiresAt: expiresAt)
        case (.resumed(let placement), .paused(let spec, _, let expiresAt)):
            .running(spec, placement, expiresAt: expiresAt)
        case (.ended(let reason), .requested(let spec)), (.ended(let reason), .running(let spec, _, _)),
            (.ended(let reason), .paused(let spec, _, _)):
            .ended(spec, reason)
        case (.requested, .requested), (.requested, .running), (.requested, .paused), (.requested, .ended),
            (.started, .absent), (.started, .ended), (.extended, .absent), (.extended, .requested),
            (.extended, .ended), (.expiryChanged, .absent), (.expiryChanged, .requested), (.expiryChanged, .ended),
            (.metadataChanged, .absent), (.metadataChanged, .requested), (.metadataChanged, .ended),
            (.portsChanged, .absent), (.portsChanged, .requested), (.portsChanged, .ended),
            (.networkChanged, .absent), (.networkChanged, .requested), (.networkChanged, .ended),
            (.paused, .absent), (.paused, .requested), (.paused, .paused), (.paused, .ended), (.resumed, .absent),
            (.resumed, .requested), (.resumed, .running), (.resumed, .ended), (.ended, .absent), (.ended, .ended):
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
        case .paused(let spec, let placement, let expiresAt):
            return [
                .requested(spec, at: start), .started(placement, expiresAt: expiresAt), .paused(placement.generation),
            ]
        case .ended(let spec, let reason): return [.requested(spec, at: start), .ended(reason)]
        }
    }
}
