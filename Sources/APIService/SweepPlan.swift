package import ComputeCore
package import ComputeDomain
package import ComputeRuntime

/// What the sweep does about records without a place and places without a record: a pure function of what it saw.
///
/// ```
///   record     place                              →
///   running    alive, of that name                  nothing
///   paused     alive and frozen                     nothing
///   running    frozen                               settle: a crash came between its record and its place
///   paused     not frozen                           settle
///   either     another network                      settle
///   running,   dead or absent                       end(lost), remove
///    paused
///   stopped    the last one, alive or dead          settle: a crash came between its record and its end
///   stopped    absent                               nothing: so it is meant
///   requested  made before this process, or too old end(startFailed)
///   –          idle                                 nothing (the pool's)
///   –          dead                                 remove
///   –          taken, shorter than the grace        nothing (a create is at it)
///   –          taken, longer                        remove
///   –          leftover, unclaimed                  remove
///   –          leftover, claimed or silent          remove after the grace (another process may be about to record it)
///   –          on a kept disk                       remove: its start was cut off, and the next one needs the disk
/// ```
/// A kept disk whose compute is over, or was never recorded, is removed after the grace.
package struct SweepPlan: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        case end(ComputeID, GroupID, EndReason)
        case remove(MemberName)
        /// Make the place as the record says by then.
        case settle(ComputeID)
        case removeDisk(ComputeID)
    }

    /// What was read, records before places: a place that is missing for a record was missing after the record was read.
    package struct Sight: Sendable {
        /// All that have not ended.
        package var records: [ComputeSummary]
        package var places: [Place]
        /// Leftovers that their Sidekick says nobody claimed.
        package var unclaimed: Set<MemberName>
        /// When the sweep first saw a place without a record.
        package var firstSeen: [MemberName: WallTime]
        /// Disks that are kept, and since when the sweep sees those that are of no record.
        package var disks: [ComputeID] = []
        package var diskFirstSeen: [ComputeID: WallTime] = [:]
        package var createsInFlight: Set<ComputeID>
        package var now: WallTime

        package init(
            records: [ComputeSummary], places: [Place], unclaimed: Set<MemberName> = [],
            firstSeen: [MemberName: WallTime] = [:], createsInFlight: Set<ComputeID> = [], now: WallTime
        ) {
            self.records = records
            self.places = places
            self.unclaimed = unclaimed
            self.firstSeen = firstSeen
            self.createsInFlight = createsInFlight
            self.now = now
        }
    }

    package var actions: [Action] = []
    /// Places that have no record and are still within their grace.
    package var suspects: Set<MemberName> = []
    /// And disks.
    package var suspectDisks: Set<ComputeID> = []

    package init(_ sight: Sight, startedAt: WallTime, grace: Duration) {
        let alive = Dictionary(
            sight.places.lazy.filter(\.isAlive).map { ($0.member.name, $0) }, uniquingKeysWith: { $1 })
        let present = Set(sight.places.map(\.member.name))
        var recorded: Set<MemberName> = []
        for record in sight.records {
            switch record.state {
            case .ended: break
            case .running, .paused:
                guard let member = record.member else { break }
                if let place = alive[member] {
                    recorded.insert(member)
                    let isSettled = place.isFrozen == (record.state == .paused) && place.network == record.network
                    if !isSettled { actions.append(.settle(record.id)) }
                } else {
                    actions.append(.end(record.id, record.group, .lost))
                }
            case .stopped:
                guard let member = record.member, present.contains(member) else { break }
                recorded.insert(member)
                actions.append(.settle(record.id))
            case .requested:
                guard !sight.createsInFlight.contains(record.id),
                    record.createdAt < startedAt || record.createdAt + grace < sight.now
                else { break }
                actions.append(.end(record.id, record.group, .startFailed))
            }
        }
        for place in sight.places where !recorded.contains(place.member.name) {
            let name = place.member.name
            if let disk = place.disk {
                if !sight.createsInFlight.contains(disk) { actions.append(.remove(name)) }
                continue
            }
            let isRemovable: Bool
            switch place.standing {
            case .idle: continue
            case .taken(let at): isRemovable = !place.isAlive || at + grace < sight.now
            case .leftover:
                let since = sight.firstSeen[name] ?? sight.now
                isRemovable = !place.isAlive || sight.unclaimed.contains(name) || since + grace < sight.now
            }
            if isRemovable { actions.append(.remove(name)) } else { suspects.insert(name) }
        }
        let known = sight.createsInFlight.union(sight.records.lazy.filter { $0.state != .ended }.map(\.id))
        for disk in sight.disks where !known.contains(disk) {
            if (sight.diskFirstSeen[disk] ?? sight.now) + grace < sight.now {
                actions.append(.removeDisk(disk))
            } else {
                suspectDisks.insert(disk)
            }
        }
    }
}
