package import ComputeCore
import EventSourcing

/// The life of one compute.
///
/// ```
///   absent ── request ──▶ requested ── start ──▶ running ⟲ extend, change, start (of a higher generation)
///                             │                  │  ▲  │
///                             │            pause ▼  │ resume, start (of a higher generation)
///                             │                 paused ⟲ extend, change
///                             │                  │
///                             │             stop ▼ from both, start (of a higher generation) back to running
///                             │                 stopped ⟲ change
///                             └──────── end ────────┴──▶ ended(reason)
/// ```
/// When its time is over (`expire`), its `ComputeLifecycle` says whether it is ended, stopped or paused.
package enum Compute: Aggregate {
    package typealias Event = ComputeEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes requested.
        case absent
        /// Its name and its share of the quota are taken; it has no place yet. Becomes running or ended.
        case requested(ComputeSpec)
        /// It has a place. Stays so (extended, changed, started again elsewhere), or becomes paused or ended.
        case running(ComputeSpec, Placement, expiresAt: WallTime)
        /// Its place is there and stands still: memory and disk, but no processor. The lifetime goes on; when it is over
        /// (`isOver`), what `expiresAt` says is how long it is kept. Becomes running, stopped or ended.
        case paused(ComputeSpec, Placement, expiresAt: WallTime, isOver: Bool = false)
        /// It has a disk and no place; this was the last generation. No lifetime goes on, but it is not kept for ever.
        /// Becomes running or ended.
        case stopped(ComputeSpec, Generation, deleteAt: WallTime)
        /// Over for good. An ended compute never runs again; its name may be another's by now.
        case ended(ComputeSpec, EndReason)

        package var spec: ComputeSpec? {
            switch self {
            case .absent: nil
            case .requested(let spec), .running(let spec, _, _), .paused(let spec, _, _, _), .stopped(let spec, _, _),
                .ended(let spec, _):
                spec
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
        /// Whose lifetime was over gets it anew.
        case resume(at: WallTime)
        case stop(KeepLimits, at: WallTime)
        /// Does what is to be done when its time is over, and nothing before that.
        case expire(KeepLimits, at: WallTime)
        case end(EndReason)
    }

    package enum Rejection: Error, Hashable, Sendable {
        case absent
        case alreadyRequested
        /// It runs, and the placement is neither that one nor a later generation.
        case alreadyRunning(Placement)
        case notRunningYet
        /// It has no place, and would first have to be started.
        case stopped
        /// It is stopped, and no place of an earlier generation, or of the last one, is a start.
        case generationIsPast
        case ended(EndReason)
        case metadataTooLarge
        case tooManyPorts
    }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [ComputeEvent] {
        switch (command, state) {
        case (.request(let spec, let now), .absent): return [.requested(spec, at: now)]
        case (.request, .requested), (.request, .running), (.request, .paused), (.request, .stopped),
            (.request, .ended):
            throw .alreadyRequested

        case (.start(let placement, let now), .requested(let spec)):
            return [.started(placement, expiresAt: now + spec.timeout)]
        case (.start(let placement, _), .running(_, let current, let expiresAt)):
            if placement == current { return [] }
            return try startedAgain(placement, after: current, expiresAt: expiresAt)
        case (.start(let placement, let now), .paused(let spec, let current, let expiresAt, let isOver)):
            return try startedAgain(placement, after: current, expiresAt: isOver ? now + spec.timeout : expiresAt)
        case (.start(let placement, let now), .stopped(let spec, let last, _)):
            guard placement.generation > last else { throw .generationIsPast }
            return [.started(placement, expiresAt: now + spec.timeout)]

        case (.extend(let duration, let maximum, let now), .running(_, _, let expiresAt)):
            return extended(by: duration, maximum, expiresAt, at: now)
        case (.extend(let duration, let maximum, let now), .paused(_, _, let expiresAt, let isOver)):
            return extended(by: duration, maximum, isOver ? now : expiresAt, at: now)

        case (.change(let change, let now), .running(let spec, _, let expiresAt)),
            (.change(let change, let now), .paused(let spec, _, let expiresAt, isOver: false)):
            return try change.events(spec, expiresAt: expiresAt, at: now)
        case (.change(let change, let now), .paused(let spec, _, _, isOver: true)):
            return try change.events(spec, expiresAt: nil, at: now)
        case (.change(let change, let now), .stopped(let spec, _, _)):
            guard change.timeout == nil else { throw .stopped }
            return try change.events(spec, expiresAt: nil, at: now)

        case (.pause, .running(_, let placement, _)): return [.paused(placement.generation)]
        case (.pause, .paused), (.resume, .running): return []
        case (.resume(let now), .paused(let spec, let placement, _, let isOver)):
            return [.resumed(placement)] + (isOver ? [.expiryChanged(expiresAt: now + spec.timeout)] : [])

        case (.stop(let limits, let now), .running(let spec, let placement, _)),
            (.stop(let limits, let now), .paused(let spec, let placement, _, _)):
            return [.stopped(placement.generation, deleteAt: limits.end(of: spec.lifecycle, from: now))]
        case (.stop, .stopped): return []

        case (.expire(let limits, let now), .running(let spec, let placement, let expiresAt)),
            (.expire(let limits, let now), .paused(let spec, let placement, let expiresAt, isOver: false)):
            guard expiresAt <= now else { return [] }
            let end = limits.end(of: spec.lifecycle, from: now)
            switch spec.lifecycle.onExpiry {
            case .delete: return [.ended(.expired)]
            case .stop: return [.stopped(placement.generation, deleteAt: end)]
            case .pause: return [.paused(placement.generation, deleteAt: end)]
            }
        case (.expire(_, let now), .paused(_, _, let end, isOver: true)),
            (.expire(_, let now), .stopped(_, _, let end)):
            return end <= now ? [.ended(.expired)] : []
        case (.expire, .requested), (.expire, .ended): return []

        case (.extend, .requested), (.change, .requested), (.pause, .requested), (.resume, .requested),
            (.stop, .requested):
            throw .notRunningYet
        case (.extend, .stopped), (.pause, .stopped), (.resume, .stopped): throw .stopped

        case (.end(let reason), .requested), (.end(let reason), .running), (.end(let reason), .paused),
            (.end(let reason), .stopped):
            return [.ended(reason)]
        case (.end, .ended): return []

        case (.start, .absent), (.extend, .absent), (.change, .absent), (.pause, .absent), (.resume, .absent),
            (.stop, .absent), (.expire, .absent), (.end, .absent):
            throw .absent
        case (.start, .ended(_, let reason)), (.extend, .ended(_, let reason)), (.change, .ended(_, let reason)),
            (.pause, .ended(_, let reason)), (.resume, .ended(_, let reason)), (.stop, .ended(_, let reason)):
            throw .ended(reason)
        }
    }

    /// Never earlier than before.
    private static func extended(
        by duration: Duration, _ maximum: Duration, _ expiresAt: WallTime, at now: WallTime
    ) -> [ComputeEvent] {
        // Cut to the maximum before adding, so that no sum can overflow.
        let wanted = max(now, expiresAt) + min(max(duration, .zero), maximum)
        let granted = max(expiresAt, min(wanted, now + maximum))
        return granted == expiresAt ? [] : [.extended(expiresAt: granted)]
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
            (.started(let placement, let expiresAt), .paused(let spec, _, _, _)),
            (.started(let placement, let expiresAt), .stopped(let spec, _, _)):
            .running(spec, placement, expiresAt: expiresAt)
        case (.extended(let expiresAt), .running(let spec, let placement, _)),
            (.expiryChanged(let expiresAt), .running(let spec, let placement, _)):
            .running(spec, placement, expiresAt: expiresAt)
        case (.extended(let expiresAt), .paused(let spec, let placement, _, _)),
            (.expiryChanged(let expiresAt), .paused(let spec, let placement, _, _)):
            .paused(spec, placement, expiresAt: expiresAt)
        case (.metadataChanged, .running), (.metadataChanged, .paused), (.metadataChanged, .stopped),
            (.lifecycleChanged, .running), (.lifecycleChanged, .paused), (.lifecycleChanged, .stopped),
            (.networkChanged, .running), (.networkChanged, .paused), (.networkChanged, .stopped),
            (.portsChanged, .running), (.portsChanged, .paused), (.portsChanged, .stopped):
            described(state, event)
        case (.paused(_, let deleteAt), .running(let spec, let placement, let expiresAt)):
            .paused(spec, placement, expiresAt: deleteAt ?? expiresAt, isOver: deleteAt != nil)
        case (.paused(_, let deleteAt?), .paused(let spec, let placement, _, _)):
            .paused(spec, placement, expiresAt: deleteAt, isOver: true)
        case (.resumed(let placement), .paused(let spec, _, let expiresAt, _)):
            .running(spec, placement, expiresAt: expiresAt)
        case (.stopped(let generation, let deleteAt), .running(let spec, _, _)),
            (.stopped(let generation, let deleteAt), .paused(let spec, _, _, _)):
            .stopped(spec, generation, deleteAt: deleteAt)
        case (.ended(let reason), .requested(let spec)), (.ended(let reason), .running(let spec, _, _)),
            (.ended(let reason), .paused(let spec, _, _, _)), (.ended(let reason), .stopped(let spec, _, _)):
            .ended(spec, reason)
        case (.requested, .requested), (.requested, .running), (.requested, .paused), (.requested, .stopped),
            (.requested, .ended), (.started, .absent), (.started, .ended), (.extended, .absent),
            (.extended, .requested), (.extended, .stopped), (.extended, .ended), (.expiryChanged, .absent),
            (.expiryChanged, .requested), (.expiryChanged, .stopped), (.expiryChanged, .ended),
            (.metadataChanged, .absent), (.metadataChanged, .requested), (.metadataChanged, .ended),
            (.portsChanged, .absent), (.portsChanged, .requested), (.portsChanged, .ended),
            (.networkChanged, .absent), (.networkChanged, .requested), (.networkChanged, .ended),
            (.lifecycleChanged, .absent), (.lifecycleChanged, .requested), (.lifecycleChanged, .ended),
            (.paused, .absent), (.paused, .requested), (.paused, .paused), (.paused, .stopped), (.paused, .ended),
            (.resumed, .absent), (.resumed, .requested), (.resumed, .running), (.resumed, .stopped),
            (.resumed, .ended), (.stopped, .absent), (.stopped, .requested), (.stopped, .stopped),
            (.stopped, .ended), (.ended, .absent), (.ended, .ended):
            state
        }
    }

    /// What is said of it is something else now; it is where it was.
    private static func described(_ state: State, _ event: ComputeEvent) -> State {
        guard let spec = state.spec?.after(event) else { return state }
        let end: WallTime? = if case .lifecycleChanged(_, let end) = event { end } else { nil }
        return switch state {
        case .running(_, let placement, let expiresAt): .running(spec, placement, expiresAt: expiresAt)
        case .paused(_, let placement, let expiresAt, let isOver):
            .paused(spec, placement, expiresAt: end ?? expiresAt, isOver: isOver)
        case .stopped(_, let generation, let deleteAt): .stopped(spec, generation, deleteAt: end ?? deleteAt)
        case .absent, .requested, .ended: state
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
        case .paused(let spec, let placement, let expiresAt, let isOver):
            return [
                .requested(spec, at: start), .started(placement, expiresAt: expiresAt),
                .paused(placement.generation, deleteAt: isOver ? expiresAt : nil),
            ]
        case .stopped(let spec, let generation, let deleteAt):
            // Where it last was is of no consequence either.
            let placement = Placement(
                member: MemberName("-"), generation: generation, sidekick: .unix(path: "/"),
                sidekickInternal: .unix(path: "/"), portHost: "")
            return [
                .requested(spec, at: start), .started(placement, expiresAt: deleteAt),
                .stopped(generation, deleteAt: deleteAt),
            ]
        case .ended(let spec, let reason): return [.requested(spec, at: start), .ended(reason)]
        }
    }
}
