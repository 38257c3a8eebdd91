import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird

/// `GET /v1/events?sandboxId=&after=&limit=`: the caller's group's part of the log, oldest first.
struct EventRoutes: Sendable {
    let service: ComputeService

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: list]).add("/v1/events", to: router)
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        var filter = EventFilter(group: caller.group)
        if let text = request.query("sandboxId") {
            guard let id = ComputeID(text), try await service.summary(id, in: caller.group) != nil else {
                throw Problem.noSuchSandbox(text)
            }
            filter.streams = [.compute(id)]
        }
        let limit = try request.limit(default: 100)
        let after = request.query("after").map { Cursor(rawValue: $0) }
        do {
            let page = try await service.ports.store.events(after: after, matching: filter, limit: limit)
            return try Answer.json(
                EventList(
                    data: page.events.compactMap { SandboxEvent($0) },
                    next: page.hasMore ? page.next?.rawValue : nil, cursor: page.next?.rawValue))
        } catch let error as EventStoreError where error.code == .badCursor {
            throw Problem(error, cursorField: "after")
        }
    }
}
