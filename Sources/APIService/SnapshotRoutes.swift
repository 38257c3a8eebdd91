import ComputeCore
import HTTPTypes
import Hummingbird

/// `/v1/snapshots`: clients call it; this version makes none, and says so rather than that there is no such thing.
struct SnapshotRoutes: Sendable {
    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.post: refuse, .get: refuse]).add("/v1/snapshots", to: router)
        RouteHandlers([.get: refuse, .delete: refuse]).add("/v1/snapshots/:snapshot", to: router)
    }

    @Sendable private func refuse(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        throw Problem(status: 501, code: .notImplemented, message: "this server makes no snapshots yet")
    }
}
