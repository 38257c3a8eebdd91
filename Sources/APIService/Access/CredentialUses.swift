import ComputeCore
import ComputeDomain
import EventSourcing
import Logging
import ServiceLifecycle
import Synchronization

/// When credentials were last used: collected, and written every few seconds, so that no request waits for it and a busy
/// key costs one write.
package final class CredentialUses: Service {
    private let records: any AccessRecords
    private let logger: Logger
    private let uses = Mutex<[AccessRecord.ID: WallTime]>([:])

    /// At about 100 bytes each. What finds no place is not noted.
    private static let capacity = 10_000
    private static let pause: Duration = .seconds(5)

    init(records: any AccessRecords, logger: Logger) {
        self.records = records
        self.logger = logger
    }

    func note(_ id: AccessRecord.ID, at time: WallTime) {
        uses.withLock { if $0[id] != nil || $0.count < Self.capacity { $0[id] = time } }
    }

    package func write() async {
        let noted = uses.withLock { uses in
            defer { uses = [:] }
            return uses
        }
        guard !noted.isEmpty else { return }
        do throws(EventStoreError) {
            try await records.noteAccess(noted)
        } catch {
            // A list's "last used" is all that suffers.
            logger.debug("uses of credentials were not noted", metadata: ["error": "\(error)"])
        }
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while (try? await Task.sleep(for: Self.pause)) != nil { await self.write() }
        }
        await write()
    }
}
