import ComputeCore
import EventSourcing
import Logging

/// Who asks the event store, and tells its failures to clients and to the log.
protocol StoreReader {
    var logger: Logger { get }
}

extension StoreReader {
    /// - Parameter field: of a request, which a cursor that is not ours came in.
    @discardableResult
    func reading<T>(
        cursor field: String = "cursor", _ work: () async throws(EventStoreError) -> T
    ) async throws(Problem) -> T {
        do {
            return try await work()
        } catch {
            if error.code != .badCursor { logger.failure("the event store failed", error) }
            throw Problem(error, cursorField: field)
        }
    }
}
