import ComputeCore
import EventSourcing
import Synchronization

/// A commit that is one event and nothing else is one statement, which is a transaction by itself: one way to the server and
/// back in place of two.
extension Commit {
    /// nil for every other commit, and where read models have to change with it.
    var loneEvent: (append: StreamAppend, event: NewEvent)? {
        guard let append = appends.first, appends.count == 1, let event = append.events.first, append.events.count == 1,
            !ReadModels.follow(append.stream), standing == nil, takes.isEmpty, releases.isEmpty,
            counterMoves.isEmpty, counterLimits.isEmpty, privateRows.isEmpty, secretValues.isEmpty
        else { return nil }
        return (append, event)
    }
}

extension PostgresSQLConnection {
    /// - Parameter event: with a position of the reserve.
    /// - Returns: false where its stream is not at the version before it.
    func append(alone event: RecordedEvent) throws -> Bool {
        var arguments = try CommitSQL.arguments(event, metadata: try jsonText(event.metadata.document))
        arguments += ["position": event.position]
        return try runOnce(sql: CommitSQL.insertion(givesPosition: true), arguments: arguments) == 1
    }
}

/// Positions that were taken ahead of time, so that a lone event has its own before it is sent: should the answer be lost, it
/// is found out by that what became of it. Those that are not used are missing in the log, where the order of transactions
/// comes first and nobody counts.
final class PositionReserve: Sendable {
    private let positions = Mutex<ArraySlice<Int64>>([])
    /// Enough that taking them costs nothing.
    private static let size = 64

    func next(_ db: some SQLConnection) throws -> Int64 {
        if let next = positions.withLock({ $0.popFirst() }) { return next }
        let taken = try db.readRows(
            sql: """
                SELECT nextval(pg_get_serial_sequence('events', 'global_position')) AS position
                FROM generate_series(1, \(Self.size))
                """
        ) { try $0.required("position") as Int64 }
        positions.withLock { $0 += taken.dropFirst() }
        return taken[0]
    }
}
