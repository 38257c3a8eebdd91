import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird
import Logging

/// `/v1/events`: the caller's group's part of the log, oldest first, in pages or as it grows.
struct EventRoutes: Sendable, StoreReader {
    let service: ComputeService
    let slots: StreamSlots
    var logger: Logger { service.logger }

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: list]).add("/v1/events", to: router)
        RouteHandlers([.get: stream, .head: headOfStream]).add("/v1/events/stream", to: router)
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let filter = try await EventQuery(request, for: caller, service).filter
        let limit = try request.limit(default: 100)
        let after = request.query("after").map { Cursor(rawValue: $0) }
        let page = try await reading(cursor: "after") { () async throws(EventStoreError) in
            try await service.ports.store.firstPage(after: after, matching: filter, limit: limit)
        }
        return try Answer.json(
            EventList(
                data: page.events.compactMap { SandboxEvent($0) },
                next: page.hasMore ? page.next?.rawValue : nil, cursor: page.next?.rawValue))
    }

    /// Server-sent events. From now on, unless the request says after which event: `Last-Event-ID`, which browsers send
    /// when they come back, or `after`, a cursor of the list.
    @Sendable func stream(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let filter = try await EventQuery(request, for: caller, service).filter
        guard let isStillAllowed = context.isStillAllowed else { throw Problem.unauthenticated }
        guard let slot = slots.take(for: caller.group) else { throw Problem.tooManyStreams(slots.perGroup) }
        let store = service.ports.store
        let (name, text) =
            request.headers[.lastEventID].map { ("Last-Event-ID", $0) }
            ?? ("after", request.query("after") ?? "")
        let start = try await reading(cursor: name) { () async throws(EventStoreError) -> Cursor? in
            guard !text.isEmpty else { return try await store.head() }
            // Read before the answer begins, so that a cursor that is not ours is a 400 and not a broken stream.
            let cursor = Cursor(rawValue: text)
            _ = try await store.events(after: cursor, matching: filter, limit: 1)
            return cursor
        }
        let pump = EventStream(
            store: store, filter: filter, start: start, timing: service.settings.eventStreams,
            isStillAllowed: isStillAllowed, close: context.close, logger: context.logger)
        return Response(
            status: .ok, headers: Self.headers,
            body: ResponseBody { writer in
                try await pump.run(&writer)
                try await writer.finish(nil)
                // Held until here, and given back also when the body is never asked for.
                withExtendedLifetime(slot) {}
            })
    }

    @Sendable func headOfStream(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        _ = try context.authenticated()
        return Response(status: .ok, headers: Self.headers)
    }

    private static let headers: HTTPFields = [
        .contentType: "text/event-stream", .cacheControl: "no-store",
        // Proxies that gather answers first would hold back what is rare.
        HTTPField.Name("X-Accel-Buffering")!: "no",
    ]
}

extension HTTPField.Name {
    static let lastEventID = HTTPField.Name("Last-Event-ID")!
}

extension Problem {
    static func tooManyStreams(_ limit: Int) -> Problem {
        Problem.overQuota("\(limit) event streams are open, which is the limit; close one first", retryAfterSeconds: 5)
    }
}
