package import ComputeCore
package import ComputeDomain
import EventSourcing

/// What a group may have, and what it has.
package struct QuotaReport: Hashable, Sendable {
    package var group: GroupID
    /// What holds: its own, else what is usual. What is absent has no limit.
    package var quotas: GroupQuotas
    package var own: GroupQuotas
    /// In the units of the counters.
    package var used: [Quota: Int64]

    /// - Parameter counters: all of the group's.
    init(_ group: GroupID, _ counters: [String: CounterState], usual: GroupQuotas, at now: WallTime) {
        self.group = group
        own = GroupQuotas()
        used = [:]
        for quota in Quota.allCases {
            let state = counters[quota.counter(in: group).name] ?? CounterState()
            own[quota] = state.ownLimit
            used[quota] = state.value
            guard let period = quota.period else { continue }
            used[quota] =
                (state.ownLimit ?? usual[quota]).map { Pace(limit: $0, period: period).used(state.value, at: now) } ?? 0
        }
        quotas = own.over(usual)
    }
}

extension GroupService {
    /// - Throws: 404.
    package func quotas(of id: GroupID) async throws(Problem) -> QuotaReport {
        _ = try await get(id)
        let counters = try await decider.reading { () async throws(EventStoreError) in
            try await decider.ports.store.counters(in: id)
        }
        return QuotaReport(id, counters, usual: settings.quotas, at: decider.ports.clock.now())
    }

    /// What the group has for itself from the answer on. A limit below what it has ends nothing; nothing is added until it
    /// has less.
    /// - Throws: 404.
    package func limit(_ id: GroupID, to quotas: GroupQuotas, for caller: Caller) async throws(Problem) -> QuotaReport {
        let outcome = try await decider.decide(Group.self, .limit(quotas), on: .group(id), in: id, for: caller) {
            _, commit in
            // In the commit of the event, and where commits of computes look: none gets past the new limit.
            commit.counterLimits = Quota.allCases.map {
                CounterLimit(counter: $0.counter(in: id), limit: quotas[$0])
            }
        }
        switch outcome {
        case .committed, .unchanged: return try await self.quotas(of: id)
        case .full: throw .internalError
        case .rejected(let rejection): throw Problem(rejection)
        }
    }
}

extension Problem {
    /// - Parameter limit: in the unit of the counter.
    static func quotaExceeded(_ quota: Quota, _ limit: Int64) -> Problem {
        let shown = quota.unit == 1 ? String(limit) : "\(Double(limit) / Double(quota.unit))"
        let (message, seconds): (String, Int64) =
            switch quota {
            case .computes:
                ("\(shown) sandboxes are alive, which is the limit (quota computes); delete one or let one expire", 5)
            case .cpus, .memoryMiB, .storageMiB:
                (
                    "the group would have more than its quota \(quota.rawValue), which is \(shown); end something first",
                    5
                )
            case .createsPerMinute:
                (
                    "more creates in a minute than the group's quota createsPerMinute, which is \(shown)",
                    Pace(limit: limit, period: .seconds(60)).secondsForOne
                )
            case .poolMembers:
                (
                    "the pools of the group would keep more than its quota poolMembers, which is \(shown); make one smaller",
                    60
                )
            }
        // Nothing tells when something ends: often enough not to waste time, seldom enough not to be a storm.
        return .overQuota(message, retryAfterSeconds: Int(seconds))
    }

    /// Of the counter at which a commit stopped.
    static func quotaExceeded(_ counter: CounterName, _ limit: Int64) -> Problem {
        Quota(counter).map { quotaExceeded($0, limit) } ?? .internalError
    }
}
