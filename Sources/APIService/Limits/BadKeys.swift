package import ComputeCore
import Synchronization

/// The keys that were found bad a moment ago, by their hashes. Whoever is over his address's limit and shows one of them
/// again is refused without a look into the database.
///
/// Only then: whoever may ask is looked up each time, so a key is good as soon as it is made. Keys are random and never
/// come back, so none that is remembered becomes good; but for one that an operator chose, which another instance is
/// started with: it is believed after `memory`.
final class BadKeys: Sendable {
    static let memory: Duration = .seconds(10)
    /// Each takes some 100 bytes.
    static let most = 20_000

    private let hashes = Mutex(RecentlySeen<String>(most: most, within: memory))
    private let clock: any WallClock

    init(clock: any WallClock) { self.clock = clock }

    func note(_ hash: String) {
        let now = clock.now()
        hashes.withLock { $0.insert(hash, at: now) }
    }

    func forget(_ hash: String) { hashes.withLock { $0.remove(hash) } }

    func contains(_ hash: String) -> Bool {
        let now = clock.now()
        return hashes.withLock { $0.contains(hash, at: now) }
    }
}

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
