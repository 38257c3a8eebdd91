import ComputeCore

/// What one connection has yet to be sent, apart from output, which waits in its ring. Bounded: what tells of changes
/// is dropped when a connection does not read, and the connection is told how much.
struct NoticeQueue: Sendable {
    /// A rename storm in a large tree, or minutes of a slow line.
    static let maxDroppable = 4096
    static let maxDroppableBytes = 2 << 20
    /// Of those that must not be lost, more unread ones than this are a client that has gone and not said so.
    static let maxOthers = 4096
    static let maxOtherBytes = 1 << 20

    private struct Entry {
        let event: SocketEvent
        let isDroppable: Bool
        let footprint: Int
    }

    private var entries: [Entry] = []
    private var head = 0
    private var droppable = 0
    private var droppableBytes = 0
    private var others = 0
    private var otherBytes = 0
    /// Per channel, what was dropped since its last event.
    private var gaps: [String: Int] = [:]

    var isEmpty: Bool { head == entries.count && gaps.isEmpty }

    /// - Returns: false when the connection must be closed instead.
    mutating func push(_ event: SocketEvent) -> Bool {
        let footprint = event.footprint
        guard others < Self.maxOthers, otherBytes + footprint <= Self.maxOtherBytes else { return false }
        others += 1
        otherBytes += footprint
        entries.append(Entry(event: event, isDroppable: false, footprint: footprint))
        return true
    }

    /// What is dropped is counted in the channel's next event, as `dropped_events`.
    mutating func pushDroppable(_ event: SocketEvent) {
        let footprint = event.footprint
        // Once it has fallen behind, half of the room has to be free again: few large gaps are better than many holes.
        let share = gaps.isEmpty ? 1 : 2
        guard droppable < Self.maxDroppable / share, droppableBytes + footprint <= Self.maxDroppableBytes / share else {
            gaps[event.channel, default: 0] += 1
            return
        }
        var event = event
        if let gap = gaps.removeValue(forKey: event.channel) { event.data["dropped_events"] = .int(Int64(gap)) }
        droppable += 1
        droppableBytes += footprint
        entries.append(Entry(event: event, isDroppable: true, footprint: footprint))
    }

    mutating func pop() -> SocketEvent? {
        guard head < entries.count else {
            // A gap at the very end would otherwise go untold.
            return gaps.popFirst().map {
                SocketEvent("gap", channel: $0.key, ["dropped_events": .int(Int64($0.value))])
            }
        }
        let entry = entries[head]
        head += 1
        // Amortized: as many moves as were pops.
        if head > 64, head * 2 > entries.count {
            entries.removeFirst(head)
            head = 0
        }
        if entry.isDroppable {
            droppable -= 1
            droppableBytes -= entry.footprint
        } else {
            others -= 1
            otherBytes -= entry.footprint
        }
        return entry.event
    }
}
