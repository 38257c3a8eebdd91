import ComputeCore
import LinuxSystem
import NIOHTTP1

/// `/filesystem/overlays` (contract §1.4): documents without an envelope.
package struct OverlayHandler: Sendable {
    private let service: OverlayService

    package init(service: OverlayService) { self.service = service }

    package var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/filesystem/overlays") { request in
                let order = try OverlayRequest(try await request.fields(), directory: request.compute.directory)
                return .json(
                    status: 201,
                    .object(Self.document(try await service.create(order, as: request.compute.user))))
            },
            SidekickRoute(.GET, "/filesystem/overlays") { _ in
                .json(
                    status: 200,
                    .object(["overlays": .array(service.list().map { .object(Self.document($0)) })]))
            },
            SidekickRoute(.GET, "/filesystem/overlays/{id}") { request in
                .json(status: 200, .object(Self.document(try service.get(OverlayID(request.parameters[0])))))
            },
            SidekickRoute(.DELETE, "/filesystem/overlays/{id}") { request in
                try await service.delete(OverlayID(request.parameters[0]))
                return .noContent
            },
        ]
    }

    static func document(_ info: OverlayInfo) -> [String: JSONValue] {
        var document = summary(info)
        document["strategy"] = .string(info.request.strategy.rawValue)
        document["created_at"] = .string(info.createdAt.rfc3339)
        document["stats"] = .object([
            "copied_files": .int(Int64(info.stats.files)), "copied_dirs": .int(Int64(info.stats.directories)),
            "copied_bytes": .int(info.stats.bytes), "symlinked_files": .int(Int64(info.stats.linksToFiles)),
            "symlinked_dirs": .int(Int64(info.stats.linksToDirectories)),
            "skipped": .array(info.stats.skipped.map(JSONValue.string)),
            "skipped_count": .int(Int64(info.stats.skippedCount)),
        ])
        if case .failed(let reason) = info.state { document["copy_error"] = .string(reason) }
        return document
    }

    /// What `/ready` shows of it.
    static func summary(_ info: OverlayInfo) -> [String: JSONValue] {
        [
            "id": .string(info.id.rawValue), "source": .string(info.request.source),
            "target": .string(info.request.target), "copy_status": .string(info.state.name),
        ]
    }
}
