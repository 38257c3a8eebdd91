import ComputeCore
import Synchronization

/// How many event streams are open, by group: each costs a connection and a read of the log per event.
final class StreamSlots: Sendable {
    let perGroup: Int
    private let taken = Mutex<[GroupID: Int]>([:])

    init(perGroup: Int) { self.perGroup = perGroup }

    /// One stream's place, given back when nobody holds it any more, however its request ended.
    final class Slot: Sendable {
        private let slots: StreamSlots
        private let group: GroupID

        fileprivate init(_ slots: StreamSlots, _ group: GroupID) {
            self.slots = slots
            self.group = group
        }

        deinit { slots.giveBack(group) }
    }

    func take(for group: GroupID) -> Slot? {
        let isFree = taken.withLock { taken in
            guard taken[group, default: 0] < perGroup else { return false }
            taken[group, default: 0] += 1
            return true
        }
        return isFree ? Slot(self, group) : nil
    }

    private func giveBack(_ group: GroupID) {
        taken.withLock { taken in
            let left = (taken[group] ?? 1) - 1
            taken[group] = left == 0 ? nil : left
        }
    }
}
