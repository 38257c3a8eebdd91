import ComputeCore
import HTTPTypes
import Hummingbird

/// The handlers of one path, by method. Known methods that a path has no handler for get a 405.
struct RouteHandlers<Context: RequestContext> {
    typealias Handler = @Sendable (Request, Context) async throws -> Response

    var handlers: [HTTPRequest.Method: Handler]

    init(_ handlers: [HTTPRequest.Method: Handler]) { self.handlers = handlers }

    func add(_ path: RouterPath, to router: some RouterMethods<Context>) {
        var handlers = handlers
        if let get = handlers[.get], handlers[.head] == nil {
            handlers[.head] = { request, context in try await get(request, context).createHeadResponse() }
        }
        let allowed = handlers.keys.map(\.rawValue).sorted().joined(separator: ", ")
        let problem = Problem(
            status: 405, code: .methodNotAllowed, message: "this route answers to \(allowed) only")
        for method in Self.knownMethods {
            let handler = handlers[method] ?? { _, _ in throw problem }
            router.on(path, method: method, use: handler)
        }
    }

    private static var knownMethods: [HTTPRequest.Method] { [.get, .head, .post, .put, .patch, .delete, .options] }
}
