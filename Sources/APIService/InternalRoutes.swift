import APIContract
import Auth
import ComputeCore
import ComputeDomain
import EventSourcing
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle

/// The internal API: what the Gateway knows of computes. On its own listener, which nothing routes to.
struct InternalRoutes: Sendable {
    static let longestWait = 60
    /// Lines of one read of the log.
    static let batch = 500

    let ports: APIPorts
    let sessions: SessionService
    let logger: Logger

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: events]).add("/internal/v1/events", to: router)
        RouteHandlers([.get: route]).add("/internal/v1/routes/:id", to: router)
        RouteHandlers([.get: keys]).add("/internal/v1/keys", to: router)
        RouteHandlers([.get: session]).add("/internal/v1/sessions/:id", to: router)
        RouteHandlers([.post: uses]).add("/internal/v1/sessions/uses", to: router)
    }

    @Sendable func route(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let text = context.parameter("id") ?? ""
        guard let id = ComputeID(text), let summary = try await ports.summaries.summary(id, in: nil) else {
            throw Problem.noSuchSandbox(text)
        }
        return try Answer.json(RouteRecord(summary))
    }

    @Sendable func keys(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try Answer.json(TokenKeys(keys: ports.tokens.publicKeys.map { TokenKeys.Key(kid: $0.kid, x: $0.x) }))
    }

    @Sendable func session(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        guard let id = SessionID(context.parameter("id") ?? "") else { throw Problem.noSuchSession }
        if let record = try await sessions.record(of: id) { return try Answer.json(record) }
        guard try await sessions.standing(ofOrigin: id.rawValue) != .over else { throw Problem.noSuchSession }
        return try Answer.json(
            SessionRecord(
                sessionId: id, computeId: nil, isRevoked: false,
                expiresAt: ports.clock.now() + CreateSession.longestLifetime))
    }

    @Sendable func uses(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try await sessions.note(try SessionUses(try await request.document()))
        return Response(status: .noContent)
    }

    // MARK: - The feed

    @Sendable func events(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let after = request.query("after").map { Cursor(rawValue: $0) }
        var wait = 0
        if let text = request.query("wait") {
            guard let seconds = Int(text), (0...Self.longestWait).contains(seconds) else {
                throw Problem.invalid("wait", "wait must be a whole number of seconds from 0 to \(Self.longestWait)")
            }
            wait = seconds
        }
        // Read once before the answer begins, so that a cursor that is not ours is a 400 and not a broken stream.
        let first: EventPage
        do {
            first = try await page(after: after)
        } catch {
            if error.code != .badCursor { context.logger.failure("the event store failed", error) }
            throw Problem(error, cursorField: "after")
        }
        let silence: Duration = .seconds(wait)
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson", .cacheControl: "no-store"],
            body: ResponseBody { writer in
                try await stream(first, after: after, silence: silence, to: &writer)
                try await writer.finish(nil)
            })
    }

    private func page(after cursor: Cursor?) async throws(EventStoreError) -> EventPage {
        try await ports.store.events(after: cursor, matching: EventFilter(), limit: Self.batch)
    }

    /// Lines until nothing came for `silence`; the slow reader slows the reading, since each write waits for the
    /// socket.
    private func stream(
        _ first: EventPage, after start: Cursor?, silence: Duration, to writer: inout any ResponseBodyWriter
    ) async throws {
        var cursor = start
        var page = first
        while true {
            if !page.events.isEmpty {
                try await writer.write(try await lines(page, after: cursor))
                cursor = page.next
            } else if !page.hasMore {
                cursor = page.next ?? cursor
                guard try await somethingCame(after: cursor, within: silence) else { break }
            } else {
                cursor = page.next ?? cursor
            }
            page = try await self.page(after: cursor)
        }
        try await writer.write(try Self.line(FeedLine(cursor: cursor?.rawValue ?? "")))
    }

    /// Waits, and tells whether there is something to read: a wake-up is no promise.
    private func somethingCame(after cursor: Cursor?, within silence: Duration) async throws -> Bool {
        let deadline = ContinuousClock.now + silence
        while ContinuousClock.now < deadline {
            let store = ports.store
            // A stop of the service ends the wait: readers come back elsewhere with their cursor.
            await cancelWhenGracefulShutdown {
                await store.waitForEvents(after: cursor, timeout: deadline - .now)
            }
            if Task.isShuttingDownGracefully { return false }
            try Task.checkCancellation()
            let page = try await page(after: cursor)
            if !page.events.isEmpty || page.hasMore { return true }
        }
        return false
    }

    /// The store has a cursor per page only. All lines but the last carry the one before the page: who stops in the
    /// middle gets some events again, and misses none.
    private func lines(_ page: EventPage, after start: Cursor?) async throws -> ByteBuffer {
        let generations = try await generations(of: page.events)
        var buffer = ByteBuffer()
        for (index, event) in page.events.enumerated() {
            let cursor = index == page.events.count - 1 ? page.next : start
            var line = FeedLine(cursor: cursor?.rawValue ?? "", type: event.type)
            do {
                line.route = try RouteRecord(event) { generations[$0] }
                line.ports = try PortsRecord(event)
                line.session = try SessionRecord(event)
            } catch {
                // One unreadable event must not stop the feed for all; routes are read through by id as well.
                logger.failure("an event cannot be read", error, ["stream": "\(event.stream)"])
            }
            buffer.writeImmutableBuffer(try Self.line(line))
        }
        return buffer
    }

    /// An end does not say which generation ended; the summary remembers.
    private func generations(of events: [RecordedEvent]) async throws -> [ComputeID: Generation] {
        var generations: [ComputeID: Generation] = [:]
        for event in events where event.type == ComputeEvent.TypeName.ended.rawValue {
            guard let id = ComputeID(event.stream.id) else { continue }
            generations[id] = try await ports.summaries.summary(id, in: nil)?.generation
        }
        return generations
    }

    private static func line(_ line: FeedLine) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var buffer = ByteBuffer(bytes: try encoder.encode(line))
        buffer.writeInteger(UInt8(ascii: "\n"))
        return buffer
    }
}
