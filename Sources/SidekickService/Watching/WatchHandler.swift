import ComputeCore
import NIOHTTP1

/// `/watchers` (contract §1.7).
package struct WatchHandler: Sendable {
    private let service: WatchService

    package init(service: WatchService) { self.service = service }

    package var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/watchers") { request in try await create(request) },
            SidekickRoute(.GET, "/watchers") { _ in
                .success("watchers", data: ["watchers": .array(service.list().map { .object(Self.document($0)) })])
            },
            SidekickRoute(.GET, "/watchers/{id}") { request in
                .success("watcher", data: Self.document(try service.get(WatcherID(request.parameters[0]))))
            },
            SidekickRoute(.DELETE, "/watchers/{id}") { request in
                try service.delete(WatcherID(request.parameters[0]))
                return .noContent
            },
        ]
    }

    private func create(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let order = try WatchRequest(try await request.fields(), directory: request.compute.directory)
        let info = try await service.create(order, as: request.compute.user)
        return .success("watcher created", status: 201, data: Self.document(info))
    }

    private static func document(_ info: WatcherInfo) -> [String: JSONValue] {
        var document: [String: JSONValue] = [
            "id": .string(info.id.rawValue), "path": .string(info.request.path),
            "includeContent": .bool(info.request.includesContent),
            "ignored": .array(info.request.ignored.map(JSONValue.string)),
            "encoding": .string(info.request.encoding.rawValue), "channel": .string(info.id.channel),
            "ws_url": .string("/ws"), "status": .string(info.degradation == nil ? "active" : "degraded"),
            "directories": .int(Int64(info.directories)),
        ]
        if let degradation = info.degradation { document["error"] = .string(degradation.message) }
        return document
    }
}
