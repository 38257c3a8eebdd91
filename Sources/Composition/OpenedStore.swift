import ComputeCore
import EventSourcing
import Logging
import SQLStore
import ServiceHost

/// The event store that the settings ask for.
struct OpenedStore {
    let store: any SQLEventStore
    /// Once nothing uses it any more.
    let close: @Sendable () async -> Void
    /// Throws when another instance has taken the database over, which this one must not outlive.
    let requireClaim: @Sendable () async throws -> Void

    static func open(_ settings: ServiceSettings, in directory: DataDirectory, now: WallTime, logger: Logger)
        async throws -> OpenedStore
    {
        switch settings.database {
        case .sqlite:
            let store = try await SQLiteEventStore.open(at: directory.file("computesdk.db"), now: now)
            // The data folder is locked.
            return OpenedStore(store: store, close: { try? await store.close() }, requireClaim: {})
        case .postgres(let configuration):
            // Alone, because the computes of the local runtime are those of this machine.
            let store = try await PostgresEventStore.open(
                configuration, migrates: settings.migratesOnStart, isAlone: true, now: now, logger: logger)
            return OpenedStore(store: store, close: { store.close() }, requireClaim: { try await store.requireClaim() })
        }
    }
}

extension OpenedStore {
    /// Beside an API that is at work: nothing is migrated, and nobody is asked to be alone.
    static func openToRead(_ settings: ServiceSettings, now: WallTime, logger: Logger) async throws -> OpenedStore {
        switch settings.database {
        case .sqlite:
            let store = try await SQLiteEventStore.open(
                at: "\(settings.dataDirectory)/computesdk.db", migrates: false, now: now)
            return OpenedStore(store: store, close: { try? await store.close() }, requireClaim: {})
        case .postgres(let configuration):
            let store = try await PostgresEventStore.open(configuration, migrates: false, now: now, logger: logger)
            return OpenedStore(store: store, close: { store.close() }, requireClaim: {})
        }
    }
}

/// `api migrate`: brings the schema up to date and ends.
/// - Returns: what to tell who asked for it.
func migrate(_ settings: ServiceSettings, logger: Logger) async throws -> String {
    let now = SystemWallClock().now()
    switch settings.database {
    case .sqlite:
        let directory = try DataDirectory(path: settings.dataDirectory)
        try await SQLiteEventStore.open(at: directory.file("computesdk.db"), now: now).close()
        return "the schema is up to date"
    case .postgres(let configuration):
        let steps = try await PostgresEventStore.migrate(configuration, now: now, logger: logger)
        return "the schema is up to date; \(steps) steps were taken"
    }
}
