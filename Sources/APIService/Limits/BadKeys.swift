import ComputeCore
import Synchronization

/// The keys that were found bad a moment ago, by their hashes. Whoever is over his address's limit and shows one of them
/// again is refused without a look into the database.
///
/// Only then: the key of whoever may ask is looked for each time, so a key is good as soon as it is made. Keys are random and never
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
