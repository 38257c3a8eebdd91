package import ComputeCore

/// A set of ids with a fixed capacity: the oldest goes when it is full, and an entry may expire.
package struct ExpiringIDs: Sendable {
    private var deadlines: [ComputeID: ContinuousClock.Instant?] = [:]
    /// In order of insertion; ids that were removed since are skipped when they surface.
    private var order: [ComputeID] = []
    private var head = 0

    package init() {}

    package var count: Int { deadlines.count }

    package func contains(_ id: ComputeID) -> Bool { deadlines[id] != nil }

    package mutating func contains(_ id: ComputeID, now: ContinuousClock.Instant) -> Bool {
        guard let deadline = deadlines[id] else { return false }
        guard let deadline, deadline <= now else { return true }
        deadlines[id] = nil
        return false
    }

    package mutating func insert(_ id: ComputeID, until deadline: ContinuousClock.Instant?, atMost capacity: Int) {
        if deadlines.updateValue(deadline, forKey: id) == nil { order.append(id) }
        while deadlines.count > capacity, head < order.count {
            deadlines[order[head]] = nil
            head += 1
        }
        // Ids that were removed leave their place in the order behind; it must not outgrow the set for long.
        if order.count - head > 2 * capacity + 16 || head > capacity + 16 {
            var seen: Set<ComputeID> = []
            order = order[head...].filter { deadlines[$0] != nil && seen.insert($0).inserted }
            head = 0
        }
    }

    package mutating func remove(_ id: ComputeID) { deadlines[id] = nil }
}
