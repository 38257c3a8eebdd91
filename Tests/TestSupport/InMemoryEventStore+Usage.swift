package import ComputeCore
package import ComputeDomain
package import EventSourcing
import Synchronization

/// Counted anew from the whole log each time: what the stores that keep count are held against.
extension InMemoryEventStore: UsageRecords {
    package func usage(of group: GroupID, from first: UsageDay, through last: UsageDay, at now: WallTime)
        async throws(EventStoreError) -> UsageByDay
    {
        let log = state.withLock { state in
            state.log.filter { $0.group == group && $0.stream.category == StreamID.computeCategory }
        }
        var (usage, rows): (UsageByDay, [StreamID: ComputeSummary]) = ([:], [:])
        for event in log {
            let next = try ComputeSummary.applying(event, to: rows[event.stream])
            if let span = rows[event.stream]?.closedSpan(by: event, next) { usage.add(span.byDay) }
            rows[event.stream] = next
        }
        for span in rows.values.compactMap({ $0.openSpan(until: now) }) { usage.add(span.byDay) }
        return usage.filter { (first...last).contains($0.key) }
    }
}
