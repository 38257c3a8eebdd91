import ComputeCore
import HTTPTypes
import Hummingbird

/// `GET /openapi.json`.
struct OpenAPIRoutes: Sendable {
    private let document: JSONValue

    init(version: String) { document = OpenAPIDocument.make(version: version) }

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: describe]).add("/openapi.json", to: router)
    }

    @Sendable func describe(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        var response = try Answer.json(document)
        // Programs of other origins that show descriptions may read it, and it says nothing of anybody.
        response.headers[.accessControlAllowOrigin] = "*"
        response.headers[.cacheControl] = "public, max-age=300"
        return response
    }
}
