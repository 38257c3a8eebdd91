import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1

/// What a Sidekick says about itself (contract §1.2).
enum ServiceRoutes {
    /// - Parameters:
    ///   - readiness: of everything that can be not ready yet.
    ///   - childCount: how many children there are.
    static func routes(
        readiness: @escaping @Sendable () -> [Readiness], childCount: @escaping @Sendable () -> Int
    ) -> [SidekickRoute] {
        let ready: @Sendable (SidekickRequest) async throws -> SidekickAnswer = { _ in
            .json(status: 200, Readiness.document(readiness()))
        }
        return [
            SidekickRoute(.GET, "/", isPublic: true, handle: landing),
            SidekickRoute(.HEAD, "/", isPublic: true, handle: landing),
            // Where a magic link leads that was told nothing else.
            SidekickRoute(.GET, "/play/", isPublic: true, handle: landing),
            SidekickRoute(.HEAD, "/play/", isPublic: true, handle: landing),
            SidekickRoute(.GET, "/ready", isPublic: true, handle: ready),
            SidekickRoute(.HEAD, "/ready", isPublic: true, handle: ready),
            SidekickRoute(.GET, "/info") { info($0.compute, childCount: childCount()) },
        ]
    }

    static func health() -> SidekickAnswer {
        .json(status: 200, .object(["status": .string("ok"), "timestamp": .string(SystemWallClock().now().rfc3339)]))
    }

    private static func info(_ compute: ComputeContext, childCount: Int) -> SidekickAnswer {
        var data: [String: JSONValue] = [
            "auth_enabled": .bool(true), "main_subdomain": .string(compute.computeID.rawValue),
            "sandbox_count": .int(Int64(1 + childCount)), "sandbox_url": .string(compute.url),
            "version": .string(SidekickVersion.current), "status": .string("running"),
        ]
        data["timeout"] = compute.timeoutMs.map(JSONValue.int)
        return .success("Compute information", data: data)
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
        <p>Its API needs an access token. /health and /ready do not.</p>
        </body></html>

        """
}
