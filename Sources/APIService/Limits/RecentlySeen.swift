package import ComputeCore

/// What was seen within some time, and no more than so many. A value.
///
/// Two halves, as in `TokenBuckets`: the older one is forgotten as a whole, when its time is over or there is no more room.
package struct RecentlySeen<Element: Hashable & Sendable>: Sendable {
    package let most: Int
    /// For how long something is remembered at most; while there is room, at least half as long.
    package let within: Duration
    private var young: Set<Element> = []
    private var old: Set<Element> = []
    /// When the first of each may have been seen; nil: none ever was.
    private var youngSince: WallTime?
    private var oldSince: WallTime?

    package init(most: Int, within: Duration) {
        self.most = most
        self.within = within
    }

    package var count: Int { young.count + old.count }

    package mutating func insert(_ element: Element, at now: WallTime) {
        let isFresh = youngSince.map { $0 <= now && now < $0 + within / 2 } ?? false
        if !isFresh || young.count >= most / 2 {
            (old, oldSince) = (young, youngSince)
            (young, youngSince) = ([], now)
        }
        old.remove(element)
        young.insert(element)
    }

    package mutating func remove(_ element: Element) {
        young.remove(element)
        old.remove(element)
    }

    /// What a clock that was set back says to be seen later was not seen.
    package func contains(_ element: Element, at now: WallTime) -> Bool {
        func isRecent(_ since: WallTime?) -> Bool { since.map { $0 <= now && now < $0 + within } ?? false }
        return young.contains(element) && isRecent(youngSince) || old.contains(element) && isRecent(oldSince)
    }
}
