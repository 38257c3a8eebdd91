package import ComputeCore
package import HTTPServing
import NIOCore
package import NIOHTTP1

/// One request to the Sidekick, past authentication: its target taken apart, nothing decoded or collapsed.
package struct SidekickRequest: Sendable {
    package let exchange: HTTPExchange
    package let method: HTTPMethod
    /// The raw path: everything before `?`, as it came (`//` and `%2F` untouched).
    package let path: String
    /// The raw query: everything after `?`, or empty.
    package let query: String
    package let requestID: RequestID
    package let compute: ComputeContext
    /// What the route's `{…}` matched, in order, raw.
    package let parameters: [String]

    package init(
        exchange: HTTPExchange, method: HTTPMethod, path: String, query: String, requestID: RequestID,
        compute: ComputeContext, parameters: [String] = []
    ) {
        self.exchange = exchange
        self.method = method
        self.path = path
        self.query = query
        self.requestID = requestID
        self.compute = compute
        self.parameters = parameters
    }
}

/// How a handler answers. Handlers decode, call a service and encode; the router writes the answer.
package enum SidekickAnswer: Sendable {
    /// A JSON document with this status.
    case json(status: Int, JSONValue)
    /// 204
    case noContent
    /// A status and no body, for HEAD.
    case status(Int)
    /// The handler has written the answer itself (a stream, a WebSocket).
    case written

    /// Of an answer that a handler has written itself, the one that such handlers write.
    var status: Int {
        switch self {
        case .json(let status, _), .status(let status): status
        case .noContent: 204
        case .written: 200
        }
    }

    /// The envelope of contract §1.1: `{"status":"success","message":…,"data":{…}}`, with `extra` beside `data`.
    package static func success(
        _ message: String, status: Int = 200, data: [String: JSONValue], extra: [String: JSONValue] = [:]
    ) -> SidekickAnswer {
        var document: [String: JSONValue] = [
            "status": .string("success"), "message": .string(message), "data": .object(data),
        ]
        document.merge(extra) { standard, _ in standard }
        return .json(status: status, .object(document))
    }
}

/// The compute that a claimed Sidekick serves; what every service call runs under.
package struct ComputeContext: Sendable {
    package let computeID: ComputeID
    /// The image's environment, and over it what the compute was created with.
    package let env: [String: String]
    /// The working directory, absolute.
    package let directory: String
    /// Who user code runs as.
    package let user: UserIdentity
    package let url: String
    package let portURLTemplate: String?
    /// How long it was given to live, from its creation; nil: its creator did not say.
    package let timeoutMs: Int64?

    package init(
        computeID: ComputeID, env: [String: String], directory: String, user: UserIdentity, url: String,
        portURLTemplate: String?, timeoutMs: Int64? = nil
    ) {
        self.computeID = computeID
        self.env = env
        self.directory = directory
        self.user = user
        self.url = url
        self.portURLTemplate = portURLTemplate
        self.timeoutMs = timeoutMs
    }
}

extension ComputeContext {
    /// For what is done before anybody has claimed it.
    static func unclaimed(of user: UserIdentity) -> ComputeContext {
        ComputeContext(
            computeID: .random(), env: [:], directory: user.home, user: user, url: "", portURLTemplate: nil)
    }
}

/// An account that a process is started as.
package struct UserIdentity: Hashable, Codable, Sendable {
    package let name: String
    /// nil: as the Sidekick itself, with no change of identity (`--isolation process`).
    package let ids: IDs?
    package let home: String
    package let shell: String

    package init(name: String, ids: IDs?, home: String, shell: String) {
        self.name = name
        self.ids = ids
        self.home = home
        self.shell = shell
    }

    package struct IDs: Hashable, Codable, Sendable {
        package let uid: UInt32
        package let gid: UInt32
        package let supplementary: [UInt32]

        package init(uid: UInt32, gid: UInt32, supplementary: [UInt32]) {
            self.uid = uid
            self.gid = gid
            self.supplementary = supplementary
        }
    }
}
