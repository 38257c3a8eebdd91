import APIContract
import ComputeCore
import EventSourcing
import FoundationEssentials
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle

/// How event streams behave in time.
package struct EventStreamTiming: Sendable {
    /// How long a stream is silent at most. Shorter than what proxies take for a dead connection, usually a minute.
    package var keepAlive: Duration = .seconds(15)
    /// How long one write may wait for a reader who does not read.
    package var stallLimit: Duration = .seconds(30)
    /// How often it is asked whether the reader may still read.
    package var recheck: Duration = .seconds(1)
    /// Streams of one group at a time, in one process.
    package var perGroup = 100
    package init() {}
}

/// One stream of server-sent events.
///
/// ```
///   log ── page of 100 ──▶ write ──▶ socket
///            ▲                │ a reader who does not read stops the reading here;
///            └── cursor ◀─────┘ past the limit its connection is cut
/// ```
/// Nothing is held for a slow reader but one page. What he missed is in the log: he comes back with the id of the last
/// event he has. A stream that ends in order says why in an event `end`; one that is cut does not end its chunks, so that
/// no reader takes the cut for an end.
struct EventStream: Sendable {
    let store: any EventStore
    let filter: EventFilter
    let start: Cursor?
    let timing: EventStreamTiming
    let isStillAllowed: @Sendable () async throws -> Bool
    let close: @Sendable () -> Void
    let logger: Logger

    /// A page's lines are in memory at once.
    private static let batch = 100

    private enum End: String {
        case shutdown
        /// The key was taken back or the caller left the group.
        case forbidden
        /// The log cannot be read at the moment.
        case unavailable
    }

    func run(_ writer: inout any ResponseBodyWriter) async throws {
        // How long browsers wait before they come back.
        try await write(ByteBuffer(string: "retry: 1000\n\n"), to: &writer)
        let end: End
        do {
            end = try await follow(&writer)
        } catch let error as EventStoreError {
            logger.failure("an event stream cannot read the log", error)
            end = .unavailable
        }
        try await write(ByteBuffer(string: "event: end\ndata: {\"reason\":\"\(end.rawValue)\"}\n\n"), to: &writer)
    }

    private func follow(_ writer: inout any ResponseBodyWriter) async throws -> End {
        var cursor = start
        var checkAt = ContinuousClock.now + timing.recheck
        var speakAt = ContinuousClock.now + timing.keepAlive
        while true {
            try Task.checkCancellation()
            if Task.isShuttingDownGracefully { return .shutdown }
            let page = try await store.events(after: cursor, matching: filter, limit: Self.batch)
            if ContinuousClock.now >= checkAt {
                guard try await isStillAllowed() else { return .forbidden }
                checkAt = .now + timing.recheck
            }
            let lines = try lines(page)
            cursor = page.next ?? cursor
            if lines.readableBytes > 0 {
                try await write(lines, to: &writer)
                speakAt = .now + timing.keepAlive
            } else if ContinuousClock.now >= speakAt {
                // With the place, so that who comes back need not have everything looked at again that was not for him.
                let id = cursor.map { "id: \($0)\n" } ?? ""
                try await write(ByteBuffer(string: ": keep-alive\n\(id)\n"), to: &writer)
                speakAt = .now + timing.keepAlive
            }
            guard !page.hasMore else { continue }
            let (store, place, wait) = (store, cursor, max(min(speakAt, checkAt) - .now, .zero))
            await cancelWhenGracefulShutdown { await store.waitForEvents(after: place, timeout: wait) }
        }
    }

    private func lines(_ page: EventPage) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var buffer = ByteBuffer()
        for (index, event) in page.events.enumerated() {
            guard let shown = SandboxEvent(event) else { continue }
            if let cursor = page.cursor(after: index) { buffer.writeString("id: \(cursor)\n") }
            // Neither a type nor JSON holds a line break.
            buffer.writeString("event: \(shown.type)\ndata: ")
            buffer.writeBytes(try encoder.encode(shown))
            buffer.writeString("\n\n")
        }
        return buffer
    }

    /// In pieces, so that a reader who is slow and reads is told from one who does not.
    private func write(_ buffer: ByteBuffer, to writer: inout any ResponseBodyWriter) async throws {
        var rest = buffer
        while let piece = rest.readSlice(length: min(rest.readableBytes, 64 << 10)), piece.readableBytes > 0 {
            try await writePiece(piece, to: &writer)
        }
    }

    private func writePiece(_ piece: ByteBuffer, to writer: inout any ResponseBodyWriter) async throws {
        // A write waits for the socket and knows no deadline: closing the connection is what ends it.
        let (limit, close, logger) = (timing.stallLimit, close, logger)
        let watch = Task {
            try await Task.sleep(for: limit)
            logger.notice("an event stream was cut: its reader does not read")
            close()
        }
        defer { watch.cancel() }
        try await writer.write(piece)
    }
}
