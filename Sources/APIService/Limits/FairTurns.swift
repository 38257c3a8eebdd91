/// Who may go now, where only so many can at a time: owners in turn, and the requests of one owner in their order. A
/// value; who waits is known by a ticket.
///
/// ```
///   a: ● ● ● ● ● ● …          ring ──▶ a ──▶ b ──┐
///   b: ●                        ▲                │      one who leaves lets the first of the next owner in
///                               └────────────────┘
/// ```
///
/// So whoever comes beside an owner with a thousand that wait is next but one. An owner never has all places, however long
/// what he does there takes: somebody who comes when nobody else is waiting does not wait at all. And who is not the only
/// one has fewer: what is inside shares a database and processors, and is slower the more there is of it.
package struct FairTurns<Owner: Hashable & Sendable>: Sendable {
    package struct Limits: Hashable, Sendable {
        /// At a time, in all.
        package var places: Int
        /// At a time, of one owner; fewer than `places`.
        package var placesOfOne: Int
        /// The same of one who is not the only one: others wait, or were among the last `memory` who went in. At least 1.
        package var placesBesideOthers: Int
        /// Of one owner.
        package var waitingOfOne: Int
        /// In all.
        package var waiting: Int

        /// By default beside others the same as alone.
        package init(
            places: Int, placesOfOne: Int, placesBesideOthers: Int? = nil, waitingOfOne: Int = 2000,
            waiting: Int = 10_000
        ) {
            self.places = places
            self.placesOfOne = placesOfOne
            self.placesBesideOthers = placesBesideOthers ?? placesOfOne
            self.waitingOfOne = waitingOfOne
            self.waiting = waiting
        }
    }

    package enum Entry: Hashable, Sendable {
        case go
        /// Until `leave` names the ticket.
        case wait
        /// Too many wait already.
        case refused
    }

    /// Somebody who does one after the other comes again before so many others went in.
    package static var memory: Int { 32 }

    package let limits: Limits
    /// Who went in last, oldest first, and how often each of them did.
    private var recent: [Owner] = []
    private var recently: [Owner: Int] = [:]
    /// Never 0.
    private var inside: [Owner: Int] = [:]
    /// Never empty.
    private var queues: [Owner: [Int]] = [:]
    /// Whoever has a queue, once; the first one is next.
    private var ring: [Owner] = []
    package private(set) var insideCount = 0
    package private(set) var waitingCount = 0

    package init(_ limits: Limits) { self.limits = limits }

    /// - Parameter ticket: no other one that waits has it.
    package mutating func enter(_ ticket: Int, of owner: Owner) -> Entry {
        if insideCount < limits.places, queues[owner] == nil, hasRoom(owner) {
            admit(owner)
            return .go
        }
        let queue = queues[owner]?.count ?? 0
        guard queue < limits.waitingOfOne, waitingCount < limits.waiting else { return .refused }
        if queue == 0 { ring.append(owner) }
        queues[owner, default: []].append(ticket)
        waitingCount += 1
        return .wait
    }

    /// One of `owner` is done.
    /// - Returns: whose turn it is now. One at most, unless somebody is the only one from now on.
    package mutating func leave(_ owner: Owner) -> [Int] {
        guard let count = inside[owner] else { return [] }
        inside[owner] = count == 1 ? nil : count - 1
        insideCount -= 1
        var next: [Int] = []
        while insideCount < limits.places, let place = ring.firstIndex(where: hasRoom) {
            let owner = ring.remove(at: place)
            guard let ticket = queues[owner]?.removeFirst() else { continue }
            waitingCount -= 1
            if queues[owner]?.isEmpty == true {
                queues[owner] = nil
            } else {
                ring.append(owner)
            }
            admit(owner)
            next.append(ticket)
        }
        return next
    }

    /// Somebody waits no longer.
    /// - Returns: false when he was not waiting: it is his turn.
    package mutating func withdraw(_ ticket: Int, of owner: Owner) -> Bool {
        guard let place = queues[owner]?.firstIndex(of: ticket) else { return false }
        queues[owner]?.remove(at: place)
        waitingCount -= 1
        if queues[owner]?.isEmpty == true {
            queues[owner] = nil
            ring.removeAll { $0 == owner }
        }
        return true
    }

    private func hasRoom(_ owner: Owner) -> Bool { inside[owner, default: 0] < share(of: owner) }

    /// How many places an owner may have now.
    package func share(of owner: Owner) -> Int {
        let isAlone = recently.allSatisfy { $0.key == owner } && ring.allSatisfy { $0 == owner }
        return isAlone ? limits.placesOfOne : min(limits.placesOfOne, limits.placesBesideOthers)
    }

    private mutating func admit(_ owner: Owner) {
        inside[owner, default: 0] += 1
        insideCount += 1
        recent.append(owner)
        recently[owner, default: 0] += 1
        guard recent.count > Self.memory else { return }
        let oldest = recent.removeFirst()
        let left = (recently[oldest] ?? 1) - 1
        recently[oldest] = left == 0 ? nil : left
    }
}
