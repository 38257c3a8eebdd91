import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1

/// What a Sidekick says about itself (contract §1.2).
struct ServiceRoutes: Sendable {
    let overlays: OverlayService
    let children: ChildService
    let setup: SetupService

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.GET, "/", isPublic: true, handle: Self.landing),
            SidekickRoute(.HEAD, "/", isPublic: true, handle: Self.landing),
            SidekickRoute(.GET, "/ready", isPublic: true) { _ in ready() },
            SidekickRoute(.HEAD, "/ready", isPublic: true) { _ in ready() },
            SidekickRoute(.GET, "/info") { info($0.compute) },
        ]
    }

    static func health() -> SidekickAnswer {
        .json(status: 200, .object(["status": .string("ok"), "timestamp": .string(SystemWallClock().now().rfc3339)]))
    }

    /// Ready is what has nothing left to be done; whether it was done well is `healthy`.
    private func ready() -> SidekickAnswer {
        let overlays = overlays.list()
        let setup = setup.status
        let isReady = overlays.allSatisfy(\.state.isOver) && setup.isOver
        let isHealthy = !overlays.contains { $0.state.isOver && $0.state != .complete } && setup.errors.isEmpty
        var document: [String: JSONValue] = [
            "ready": .bool(isReady), "healthy": .bool(isHealthy), "servers": .array([]),
            "overlays": .array(overlays.map { .object(OverlayHandler.summary($0)) }),
        ]
        if setup != .nothing { document["setup"] = .object(setup.document) }
        return .json(status: 200, .object(document))
    }

    private func info(_ compute: ComputeContext) -> SidekickAnswer {
        .success(
            "Compute information",
            data: [
                "auth_enabled": .bool(true), "main_subdomain": .string(compute.computeID.rawValue),
                "sandbox_count": .int(Int64(1 + children.count)), "sandbox_url": .string(compute.url),
                "version": .string(SidekickVersion.current), "status": .string("running"),
            ])
    }

    @Sendable private static func landing(_ request: SidekickRequest) async throws -> SidekickAnswer {
        var headers = AnswerWriter.headers(request.requestID, "text/html; charset=utf-8")
        headers.add(name: "Content-Security-Policy", value: "default-src 'none'; style-src 'unsafe-inline'")
        headers.add(name: "X-Content-Type-Options", value: "nosniff")
        try await request.exchange.respond(status: .ok, headers: headers, body: ByteBuffer(string: page))
        return .written
    }

    /// Constant: nothing of the compute or the request is in it, so nothing needs escaping.
    private static let page = """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><title>Compute</title>
        <style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}</style></head>
        <body><h1>This compute is running</h1>
        <p>Its API needs an access token. <a href="health">/health</a> and <a href="ready">/ready</a> do not.</p>
        </body></html>

        """
}
