import ComputeCore
import EventSourcing
import Synchronization

/// How far each webhook's reading of the log is, in memory: every event of everybody moves all of them, and a write each
/// time would be most of what the database does.
///
/// What is saved may be behind by events that the webhook is not told of, and by nothing else.
final class WebhookPlaces: Sendable {
    /// How long it may be behind.
    private static let longest: Duration = .seconds(10)

    private static let most = 10_000

    private struct Place {
        var cursor: Cursor
        var savedAt: ContinuousClock.Instant
    }
    private let places = Mutex<[WebhookID: Place]>([:])

    /// nil when only the database knows.
    func place(of id: WebhookID) -> Cursor? { places.withLock { $0[id]?.cursor } }

    func isWorthSaving(_ id: WebhookID) -> Bool {
        places.withLock { places in places[id].map { $0.savedAt + Self.longest < .now } ?? true }
    }

    func set(_ cursor: Cursor, of id: WebhookID, isSaved: Bool) {
        places.withLock { places in
            // Some are of webhooks that are gone; it is the database that remembers.
            if places.count >= Self.most { places = [:] }
            places[id] = Place(cursor: cursor, savedAt: isSaved ? .now : places[id]?.savedAt ?? .now)
        }
    }

    /// Somebody else may have gone on meanwhile.
    func forgetAll() { places.withLock { $0 = [:] } }
}
