import ComputeCore
import ComputeDomain
import EventSourcing
import Hummingbird

/// `sandboxId`, `type`, `actor`, `since` and `until` of a request for events.
struct EventQuery: Sendable {
    static let maxTypes = 20

    let filter: EventFilter

    init(_ request: Request, for caller: Caller, _ service: ComputeService) async throws(Problem) {
        var filter = EventFilter(group: caller.group)
        if let text = request.query("sandboxId") {
            guard let id = ComputeID(text), try await service.summary(id, in: caller.group) != nil else {
                throw .noSuchSandbox(text)
            }
            filter.streams = [.compute(id), .custom(id)]
        }
        filter.types = try request.query("type").map { text throws(Problem) in try Self.types(text) }
        if let actor = request.query("actor") {
            guard actor.utf8.count <= 200, actor.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw .invalid("actor", "actor must be visible ASCII, at most 200 bytes, such as key:abc or system")
            }
            filter.actor = actor
        }
        filter.since = try Self.time("since", request)
        filter.until = try Self.time("until", request)
        self.filter = filter
    }

    static func types(_ text: String) throws(Problem) -> Set<String> {
        let types = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard types.count <= maxTypes, types.allSatisfy({ $0.isEventType }) else {
            throw .invalid("type", "type must be names of event types with commas between, at most \(maxTypes)")
        }
        try EventTypes.check(types, field: "type")
        return Set(types)
    }

    /// RFC 3339, or milliseconds since 1970, which programs have at hand.
    static func time(_ name: String, _ request: Request) throws(Problem) -> WallTime? {
        guard let text = request.query(name) else { return nil }
        if let milliseconds = Int64(text), (0...253_402_300_799_999).contains(milliseconds) {
            return WallTime(milliseconds: milliseconds)
        }
        guard let time = WallTime(rfc3339: text) else {
            throw .invalid(name, "\(name) must be an RFC 3339 time, or milliseconds since 1970")
        }
        return time
    }
}

extension String {
    /// What can be the name of a type, ours or a program's.
    var isEventType: Bool {
        (1...64).contains(utf8.count)
            && utf8.allSatisfy {
                ($0 | 0x20).isLowercaseLetter || $0.isDigit || [UInt8(ascii: "."), 0x5F, 0x2D].contains($0)
            }
    }
}

extension EventStore {
    /// A page that holds something, if looking for `patience` finds it. A rare event in a long log is behind many
    /// pages without one.
    func firstPage(
        after cursor: Cursor?, matching filter: EventFilter, limit: Int, patience: Duration = .seconds(1)
    ) async throws(EventStoreError) -> EventPage {
        let end = ContinuousClock.now + patience
        var page = try await events(after: cursor, matching: filter, limit: limit)
        while page.events.isEmpty, page.hasMore, ContinuousClock.now < end, !Task.isCancelled {
            page = try await events(after: page.next, matching: filter, limit: limit)
        }
        return page
    }
}
