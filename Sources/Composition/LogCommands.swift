import ArgumentParser
import ComputeCore
import EventSourcing
import Foundation
import Logging
import PostgresClient
import SQLStore
import ServiceHost

/// `api rebuild`: makes the read models anew from the log.
struct RebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract:
            "Makes the read models anew from the log. Commits wait meanwhile; with SQLite the API must be stopped.")
    @OptionGroup var flags: SettingFlags

    func run() async throws {
        try await configured(flags) { settings in
            let (logger, now) = (makeLogger("api", settings), SystemWallClock().now())
            let begin = ContinuousClock.now
            let count: Int
            switch settings.database {
            case .sqlite:
                // Taking the folder keeps an API away that would have old rows in memory.
                let directory = try DataDirectory(path: settings.dataDirectory)
                let store = try await SQLiteEventStore.open(at: directory.file("computesdk.db"), now: now)
                count = try await store.rebuild()
                try await store.close()
            case .postgres(let configuration):
                count = try await PostgresEventStore.rebuild(configuration, now: now, logger: logger)
            }
            let seconds = (ContinuousClock.now - begin) / .seconds(1)
            print("read \(count) events in \(String(format: "%.1f", seconds)) s; the read models follow from them")
        }
    }
}

/// `api export`: the log as NDJSON on standard output. Also beside a running API.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Writes the log to standard output, an event a line, oldest first.")
    @OptionGroup var flags: SettingFlags
    @Option(help: "Goes on after the event whose line has this cursor.") var after: String?
    @Option(help: "Only this group's events.") var group: String?

    func run() async throws {
        try await configured(flags) { settings in
            let opened = try await OpenedStore.openToRead(
                settings, now: SystemWallClock().now(), logger: makeLogger("api", settings))
            var cursor = after.map { Cursor(rawValue: $0) }
            let filter = EventFilter(group: group.map { GroupID($0) })
            while true {
                let page = try await opened.store.events(after: cursor, matching: filter, limit: 1000)
                var lines: [UInt8] = []
                for (index, event) in page.events.enumerated() {
                    lines += try event.line(cursor: page.cursor(after: index))
                }
                try FileHandle.standardOutput.write(contentsOf: Data(lines))
                guard page.hasMore else { break }
                cursor = page.next
            }
            await opened.close()
        }
    }
}

/// `api retain`: moves finished histories to a file.
struct RetainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retain",
        abstract:
            "Moves the histories of what is over to a file, a line per event. With SQLite the API must be stopped.")
    @OptionGroup var flags: SettingFlags
    @Option(help: "How many days a history stays after its last event; 7 at least.") var days: Int
    @Option(help: "The file that they are appended to.") var archive: String

    func run() async throws {
        // None younger: a repeated create is told apart from a new one by what is in the log.
        guard days >= 7, days <= 36500 else { throw ValidationError("--days must be from 7 to 36500") }
        try await configured(flags) { settings in
            let (logger, now) = (makeLogger("api", settings), SystemWallClock().now())
            let since = WallTime(milliseconds: now.milliseconds - Int64(days) * 86_400_000)
            let file = try ArchiveFile(archive)
            let outcome: RetentionOutcome
            switch settings.database {
            case .sqlite:
                let directory = try DataDirectory(path: settings.dataDirectory)
                let store = try await SQLiteEventStore.open(at: directory.file("computesdk.db"), now: now)
                outcome = try await store.retain(since: since, now: now, archive: file.append)
                try await store.close()
            case .postgres(let configuration):
                // Looking for what is over goes through the whole log.
                var patient = configuration
                patient.deadline = .seconds(3600)
                let store = try await PostgresEventStore.open(patient, migrates: false, now: now, logger: logger)
                defer { store.close() }
                outcome = try await store.retain(since: since, now: now, archive: file.append)
            }
            print("moved \(outcome.events) events of \(outcome.streams) histories to \(archive)")
        }
    }
}

/// A file that lines are added to, on disk when that returns.
private struct ArchiveFile {
    let handle: FileHandle

    init(_ path: String) throws {
        // For its owner only: it is what the database holds.
        let descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteNoPermission, userInfo: [NSFilePathErrorKey: path]) }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        // Its name is on disk before anything is gone from the database.
        let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0, fsync(folder) == 0 else {
            throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path])
        }
        close(folder)
        // What was killed may have left half a line, which was never relied on; the next one begins its own.
        let size = try handle.seekToEnd()
        guard size > 0 else { return }
        try handle.seek(toOffset: size - 1)
        if try handle.readToEnd() != Data("\n".utf8) { try handle.write(contentsOf: Data("\n".utf8)) }
    }

    func append(_ events: [RecordedEvent]) throws {
        let lines = try events.reduce(into: [UInt8]()) { $0 += try $1.line(cursor: nil) }
        try handle.write(contentsOf: Data(lines))
        try handle.synchronize()
    }
}

extension RecordedEvent {
    fileprivate func line(cursor: Cursor?) throws -> [UInt8] {
        let metadata: [String: JSONValue?] = [
            "actor": .string(self.metadata.actor), "requestId": self.metadata.requestID.map(JSONValue.string),
            "traceId": self.metadata.traceID.map(JSONValue.string),
            "source": self.metadata.source.map(JSONValue.string),
        ]
        let fields: [String: JSONValue?] = [
            "cursor": cursor.map { .string($0.rawValue) }, "stream": .string(stream.rawValue),
            "version": .int(Int64(version)), "group": .string(group.rawValue), "type": .string(type), "data": data,
            "metadata": .object(metadata.compactMapValues { $0 }), "occurredAt": .string(occurredAt.rfc3339),
        ]
        let encoder = JSONEncoder()
        // Sorted, so that the same event is the same line.
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(JSONValue.object(fields.compactMapValues { $0 })) + [UInt8(ascii: "\n")]
    }
}
