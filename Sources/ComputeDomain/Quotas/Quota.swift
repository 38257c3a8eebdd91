package import ComputeCore
package import EventSourcing

/// What a group may have only so much of. In the order in which commits move their counters: whoever waits for a row of
/// another one in a database has none that the other one waits for.
package enum Quota: String, Hashable, Sendable, CaseIterable {
    /// Those that have a place, or are about to: requested, running or paused.
    case computes
    /// Of those together, also of the ones that stand still.
    case cpus
    case memoryMiB
    /// The disks of its living computes, also of those that are stopped, and its filesystems.
    case storageMiB
    /// Computes that are requested, whatever becomes of them.
    case createsPerMinute
    /// Of its pools together, how many may wait at most.
    case poolMembers

    /// What the counter counts for one of what people say: thousandths of processors.
    package var unit: Int64 { self == .cpus ? 1000 : 1 }

    package var period: Duration? { self == .createsPerMinute ? .seconds(60) : nil }

    package func counter(in group: GroupID) -> CounterName {
        let name =
            switch self {
            case .computes: "computes"
            case .cpus: "cpus"
            case .memoryMiB: "memory-mib"
            case .storageMiB: "storage-mib"
            case .createsPerMinute: "creates"
            case .poolMembers: "pool-members"
            }
        return CounterName(group: group, name: name)
    }

    /// nil for another counter.
    package init?(_ counter: CounterName) {
        guard let quota = Self.allCases.first(where: { $0.counter(in: counter.group) == counter }) else { return nil }
        self = quota
    }

    /// The move of the commit that takes so much, or gives it back.
    func move(_ amount: Int64, in group: GroupID, _ usual: GroupQuotas) -> CounterMove {
        // What a group that is deleted has of computes is above every limit, which keeps new ones out: so there is one.
        let most = self == .computes ? GroupQuotas.range.upperBound : nil
        return .quota(counter(in: group), delta: amount, usual: usual[self] ?? most, per: period)
    }
}

extension ComputeSpec {
    /// How much of the quotas a compute takes, in the units of the counters. What its runtime gives without a measure
    /// takes nothing.
    func share(of quota: Quota) -> Int64 {
        switch quota {
        case .computes, .createsPerMinute: 1
        case .cpus: granted?.cpus.map { Int64(($0 * 1000).rounded()) } ?? 0
        case .memoryMiB: granted?.memoryBytes.map { $0 >> 20 } ?? 0
        case .storageMiB: granted?.diskBytes.map { $0 >> 20 } ?? 0
        case .poolMembers: 0
        }
    }

    /// Which part of what a compute takes.
    package enum QuotaPart: Hashable, Sendable {
        /// With the place, which it has not while it is stopped.
        case place
        /// Also without one.
        case rest
        case all

        fileprivate func holds(_ quota: Quota) -> Bool {
            switch (self, quota) {
            case (.all, _): true
            case (.place, .computes), (.place, .cpus), (.place, .memoryMiB), (.rest, .storageMiB): true
            case (.place, .storageMiB), (.place, .createsPerMinute), (.place, .poolMembers), (.rest, .computes),
                (.rest, .cpus), (.rest, .memoryMiB), (.rest, .createsPerMinute), (.rest, .poolMembers):
                false
            }
        }
    }

    /// What has to move when it is requested, or of `.place` when it is started again.
    package func quotaMoves(
        in group: GroupID, usual: GroupQuotas, _ part: QuotaPart = .all
    ) -> [CounterMove] {
        Quota.allCases.compactMap { quota in
            let share = share(of: quota)
            return share == 0 || !part.holds(quota) ? nil : quota.move(share, in: group, usual)
        }
    }

    /// What it gives back.
    func quotaReleases(in group: GroupID, _ part: QuotaPart) -> [CounterMove] {
        Quota.allCases.compactMap { quota in
            let share = share(of: quota)
            guard share != 0, quota.period == nil, part.holds(quota) else { return nil }
            return CounterMove(counter: quota.counter(in: group), delta: -share)
        }
    }
}
