package import ComputeCore
package import EventSourcing

/// What computes took. Whole numbers, so that sums are exact in whatever order they are made.
package struct UsageAmount: Hashable, Sendable {
    /// Milliseconds in which a compute had its place.
    package var compute: Int64
    /// Milliseconds in which it was not paused, times thousandths of its processors.
    package var cpu: Int64
    /// Milliseconds in which it had its place, times MiB of its memory.
    package var memory: Int64

    package init(compute: Int64 = 0, cpu: Int64 = 0, memory: Int64 = 0) {
        self.compute = compute
        self.cpu = cpu
        self.memory = memory
    }

    package static func += (amount: inout UsageAmount, more: UsageAmount) {
        amount.compute += more.compute
        amount.cpu += more.cpu
        amount.memory += more.memory
    }
}

/// By day. Days in which nothing was taken are not there.
package typealias UsageByDay = [UsageDay: UsageAmount]

extension UsageByDay {
    package mutating func add(_ other: UsageByDay) {
        for (day, amount) in other { self[day, default: UsageAmount()] += amount }
    }
}

/// How large a compute is, as far as it is metered. Zero where its runtime measures nothing.
package struct MeteredSize: Hashable, Sendable {
    package var cpuThousandths: Int64
    package var memoryMiB: Int64

    package init(cpuThousandths: Int64 = 0, memoryMiB: Int64 = 0) {
        self.cpuThousandths = cpuThousandths
        self.memoryMiB = memoryMiB
    }

    package init(_ spec: ComputeSpec) {
        self.init(cpuThousandths: spec.share(of: .cpus), memoryMiB: spec.share(of: .memoryMiB))
    }
}

/// A time in which one compute took the same all along.
package struct UsageSpan: Hashable, Sendable {
    package var from: WallTime
    package var until: WallTime
    package var size: MeteredSize
    /// Paused, it has its memory and no processor.
    package var isPaused: Bool

    package init(from: WallTime, until: WallTime, size: MeteredSize, isPaused: Bool) {
        self.from = from
        self.until = until
        self.size = size
        self.isPaused = isPaused
    }

    /// Cut at the midnights of UTC.
    package var byDay: UsageByDay {
        var days: UsageByDay = [:]
        var time = from
        while time < until {
            let day = UsageDay(time)
            let end = min(day.end, until)
            let length = end.milliseconds - time.milliseconds
            days[day] = UsageAmount(
                compute: length, cpu: isPaused ? 0 : length * size.cpuThousandths, memory: length * size.memoryMiB)
            time = end
        }
        return days
    }
}

extension ComputeSummary {
    /// What it takes since something about that changed last; nil when it takes nothing.
    package func openSpan(until time: WallTime) -> UsageSpan? {
        state == .stopped
            ? nil : meteredSince.map { UsageSpan(from: $0, until: time, size: size, isPaused: state == .paused) }
    }

    /// What is over with `event`, which makes `next` of this. So each moment is in one span, and all of them follow from
    /// the log.
    package func closedSpan(by event: RecordedEvent, _ next: ComputeSummary?) -> UsageSpan? {
        meteredSince == next?.meteredSince ? nil : openSpan(until: event.occurredAt)
    }

    /// What a whole history took that is over.
    package static func usage(of history: [RecordedEvent]) throws(EventStoreError) -> UsageByDay {
        var (usage, row): (UsageByDay, ComputeSummary?) = ([:], nil)
        for event in history {
            let next = try applying(event, to: row)
            if let span = row?.closedSpan(by: event, next) { usage.add(span.byDay) }
            row = next
        }
        return usage
    }
}

/// The read model of what groups took.
package protocol UsageRecords: Sendable {
    /// - Parameters:
    ///   - first, last: both with their whole day.
    ///   - now: until when what goes on is counted.
    func usage(of group: GroupID, from first: UsageDay, through last: UsageDay, at now: WallTime)
        async throws(EventStoreError) -> UsageByDay
}
