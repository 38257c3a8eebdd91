import ComputeCore
import ComputeRuntime
import EventSourcing
import Logging

// How the failures of the ports look to a client: one table. Details stay in the log.
extension Problem {
    static let internalError = Problem(
        status: 500, code: .internalError, message: "something went wrong on our side; the log has the details")

    init(_ error: EventStoreError, cursorField: String = "cursor") {
        self =
            switch error.code {
            case .badCursor: .invalid(cursorField, "\(cursorField) is not a cursor of this list")
            case .unavailable: .unavailable("the database is not available")
            case .corrupt: .internalError
            }
    }

    init(_ error: RuntimeError) {
        self =
            switch error.code {
            case .outOfCapacity: .unavailable("no room for another sandbox at the moment", retryAfterSeconds: 5)
            case .deadlineExceeded: .unavailable("no sandbox could be started in time", retryAfterSeconds: 2)
            case .unavailable: .unavailable("sandboxes cannot be started at the moment", retryAfterSeconds: 2)
            // What is wrong with his own image the caller may know.
            case .badImage: .invalid("image", error.message)
            case .imageOutOfReach: .unavailable(error.message, retryAfterSeconds: 10)
            case .unsupported:
                Problem(status: 409, code: .unsupported, message: "this server's runtime cannot do that")
            }
    }

    static func noSuchSandbox(_ id: String) -> Problem { .notFound("there is no sandbox \(id.prefix(64))") }
}

extension Logger {
    /// What a client only learns as a status.
    func failure(_ message: Message, _ error: any Error, _ metadata: Metadata = [:]) {
        self.error(message, metadata: metadata.merging(["error": "\(error)"]) { old, _ in old })
    }
}
