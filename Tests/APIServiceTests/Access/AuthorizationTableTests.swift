import APIService
import Auth
import ComputeCore
import ComputeDomain
import ComputeRuntime
import HTTPTypes
import TestSupport
import Testing

/// Every route × every role × own and other group, through the whole API.
struct AuthorizationTableTests {
    typealias Row = AuthorizationTable.Row

    // MARK: - The table and the router are the same

    @Test func everyRouteHasARowAndEveryRowARoute() async throws {
        let world = World()
        let routes = world.server.publicRoutes
        for row in AuthorizationTable.rows { #expect(routes.contains([row.method, row.path]), "\(row) is no route") }
        #expect(Set(AuthorizationTable.rows.map { [$0.method, $0.path] }).count == AuthorizationTable.rows.count)
        let paths = Set(AuthorizationTable.rows.map(\.path))
        let known = Set(AuthorizationTable.rows.map { [$0.method, $0.path] })
        try await world.withAPI { api async throws in
            for route in routes {
                #expect(paths.contains(route[1]), "\(route) has no row")
                // What is left are the methods that a path does not answer to.
                guard !known.contains(route), !known.contains(["GET", route[1]]) || route[0] != "HEAD" else { continue }
                let reply = try await api.send(
                    try #require(HTTPRequest.Method(rawValue: route[0])), Self.filled(route[1], "abcdefgh12"))
                #expect(reply.status == 405, "\(route): \(reply.status)")
            }
        }
    }

    // MARK: - Every role, own and other group

    @Test(arguments: Role.allCases, ["default", "tenant"])
    func everyRouteAsksForTheRoleAndGroupOfItsRow(role: Role, group: String) async throws {
        try await Scene.run { scene async throws in
            let api = scene.api(try await scene.world.key(of: group, Authority(role: role)))
            for row in AuthorizationTable.rows {
                let isPermitted: Bool
                switch row.access {
                case .open, .computeToken: continue
                case .credential(_, let least, _): isPermitted = role >= least
                case .operators: isPermitted = role == .owner && group == "default"
                }
                let own = try await scene.target(row, in: group, for: api)
                let reply = try await scene.send(row, own, api)
                if isPermitted {
                    // Of the two ids in such a path only the first one is somebody's here.
                    let allowed = row.path.contains("{event}") ? [404] : []
                    #expect(
                        ![401, 403, 404, 405].contains(reply.status) || allowed.contains(reply.status),
                        "\(row): \(reply.status) \(reply.text)")
                } else {
                    #expect(reply.status == 403, "\(row): \(reply.status) \(reply.text)")
                    #expect(reply["code"] == .string("forbidden"))
                }
                // Another group's, and nobody's: the same answer, to the letter but for the ids in it.
                guard row.path.contains("{") else { continue }
                let foreign = try await scene.target(row, in: group == "default" ? "tenant" : "default", for: nil)
                let foreignReply = try await scene.send(row, foreign, api)
                // A PUT of a secret makes what is not there, of whatever name, in the caller's own group.
                // Of what nobody can make there is none to be found.
                // Who runs the system does so for every group.
                let isForAll = if case .operators = row.access { true } else { false }
                let isFound = row.method == "PUT" && row.path.contains("{secret}") || isForAll
                let absent = isFound ? 200 : row.path.contains("{snapshot}") ? 501 : 404
                #expect(foreignReply.status == (isPermitted ? absent : 403), "foreign \(row): \(foreignReply.text)")
                let unknown = Scene.Target(group: "gzzzzzzzzzzz", id: .randomLabel(length: 20))
                let unknownReply = try await scene.send(row, unknown, api)
                if isForAll && isPermitted {
                    #expect(unknownReply.status == 404, "unknown \(row): \(unknownReply.text)")
                    continue
                }
                #expect(unknownReply.status == foreignReply.status, "unknown \(row): \(unknownReply.text)")
                #expect(Scene.blank(unknownReply, unknown) == Scene.blank(foreignReply, foreign), "\(row)")
            }
        }
    }

    @Test func withoutACredentialNothingButTheOpenRoutesAnswers() async throws {
        try await Scene.run { scene async throws in
            let nobody = scene.api("csdk_" + String(repeating: "0", count: 40))
            for row in AuthorizationTable.rows {
                let reply = try await scene.send(row, Scene.Target(group: "default", id: "abcdefgh12345678"), nobody)
                switch row.access {
                case .open: #expect(reply.status == 200, "\(row): \(reply.status)")
                case .credential, .operators: #expect(reply.status == 401, "\(row): \(reply.status)")
                // No such compute, or no token of one; with one they ask for its token, see AuthRoutesTests.
                case .computeToken: #expect([401, 404].contains(reply.status), "\(row): \(reply.status)")
                }
            }
        }
    }

    // MARK: - Scopes, and kinds of credentials

    @Test(arguments: Scope.allCases) func aScopeOpensWhatItSaysAndNothingElse(scope: Scope) async throws {
        try await Scene.run { scene async throws in
            let api = scene.api(try await scene.world.key(of: "default", Authority(role: .owner, scopes: [scope])))
            for row in AuthorizationTable.rows {
                let isPermitted: Bool
                switch row.access {
                case .open, .computeToken: continue
                case .credential(let needed, _, _): isPermitted = needed == nil || needed == scope
                case .operators(let needed): isPermitted = needed == scope
                }
                let reply = try await scene.send(row, Scene.Target(group: "default", id: "abcdefgh12345678"), api)
                // Ids that nobody has: who may is told so. Or that he hands out too much, which names the field.
                let isOpen = reply.status != 403 || reply["field"] != nil
                #expect(isOpen == isPermitted, "\(row): \(reply.status) \(reply.text)")
            }
        }
    }

    @Test func aSessionDoesWhatItsKeyDoesButMakesNothingThatLasts() async throws {
        try await Scene.run { scene async throws in
            let key = scene.api(try await scene.world.key(of: "default", Authority(role: .owner)))
            let token = try await key.send(.post, "/v1/sessions")["data", "token"]?.text ?? ""
            for row in AuthorizationTable.rows {
                let isPermitted: Bool
                switch row.access {
                case .open, .computeToken: continue
                case .credential(_, _, let kinds): isPermitted = kinds.contains(.sessions)
                case .operators: isPermitted = false
                }
                let reply = try await scene.send(
                    row, Scene.Target(group: "default", id: "abcdefgh12345678"), scene.api(token))
                #expect((reply.status != 403) == isPermitted, "\(row): \(reply.status) \(reply.text)")
            }
        }
    }

    @Test func whoMayOnlyLookGetsNoTokenOfACompute() async throws {
        try await Scene.run { scene async throws in
            let id = try await scene.owner.create(#"{"name":"web"}"#).sandboxID
            for (authority, isGiven) in [
                (Authority(role: .viewer), false), (Authority(role: .developer), true),
                (Authority(role: .owner, scopes: [.sandboxesRead]), false),
                (Authority(role: .developer, scopes: [.sandboxesRead, .sandboxesConnect]), true),
            ] {
                let api = scene.api(try await scene.world.key(of: "default", authority))
                for reply in [
                    try await api.send(.get, "/v1/sandboxes/\(id)"),
                    try await api.send(.post, "/v1/sandboxes/find", #"{"name":"web"}"#),
                ] {
                    #expect(reply.status == 200)
                    #expect((reply["data", "token"]?.text != nil) == isGiven, "\(authority)")
                }
            }
        }
    }

    static func filled(_ path: String, _ id: String) -> String {
        path.split(separator: "/").map { $0.hasPrefix("{") ? id : String($0) }.reduce("") { $0 + "/" + $1 }
    }
}

/// Two groups, and something of each kind in both, made afresh for every request: some requests end it.
struct Scene: Sendable {
    struct Target: Sendable {
        var group: String
        var id: String
    }

    let world: World
    let client: API
    let owner: API
    let tenant: API

    static func run(_ test: @escaping @Sendable (Scene) async throws -> Void) async throws {
        let world = World(poolSize: 0, abilities: [.filesystems]) {
            $0.filesystemsPerGroup = FilesystemLimits(count: 10_000, totalMiB: 1 << 30)
            $0.templatesPerGroup = 10_000
            $0.poolsPerGroup = 10_000
            $0.quotas[.computes] = 10_000
        }
        try await world.withAPI { api async throws in
            try await world.make(group: "tenant")
            let tenant = try await world.key(of: "tenant")
            try await test(
                Scene(world: world, client: api, owner: api, tenant: API(client: api.client, key: tenant)))
        }
    }

    func api(_ key: String) -> API { API(client: client.client, key: key) }

    /// Something that the row is about, of that group.
    /// - Parameter caller: whose session it shall be; nil: some owner's.
    func target(_ row: AuthorizationTable.Row, in group: String, for caller: API?) async throws -> Target {
        let by = group == "default" ? owner : tenant
        let id: String
        if row.path.contains("{id}") {
            id = try await by.create().sandboxID
        } else if row.path.contains("{member}") {
            let body = #"{"issuer":"https://i","subject":"\#(String.randomLabel(length: 9))","role":"viewer"}"#
            id = try await by.send(.post, "/v1/groups/\(group)/members", body)["data", "memberId"]?.text ?? ""
        } else if row.path.contains("{key}") {
            id = try await by.send(.post, "/v1/keys", #"{"role":"viewer"}"#)["data", "keyId"]?.text ?? ""
        } else if row.path.contains("{webhook}") {
            id = try await by.send(.post, "/v1/webhooks", Self.webhook)["data", "id"]?.text ?? ""
        } else if row.path.contains("{secret}") {
            id = try await by.send(.post, "/v1/secrets", Self.secret)["data", "name"]?.text ?? ""
        } else if row.path.contains("{filesystem}") {
            id = try await by.send(.post, "/v1/filesystems", Self.filesystem)["data", "filesystemId"]?.text ?? ""
        } else if row.path.contains("{template}") {
            id = try await by.send(.post, "/v1/templates", Self.template)["data", "templateId"]?.text ?? ""
        } else if row.path.contains("{pool}") {
            id = try await by.send(.post, "/v1/pools", try await pool(by))["data", "poolId"]?.text ?? ""
        } else if row.path.contains("{session}") {
            id = try await (caller ?? by).send(.post, "/v1/sessions")["data", "sessionId"]?.text ?? ""
        } else {
            id = "-"
        }
        #expect(!id.isEmpty, "nothing to try \(row) on")
        return Target(group: group, id: id)
    }

    func send(_ row: AuthorizationTable.Row, _ target: Target, _ api: API) async throws -> Reply {
        // The first revision is always there.
        let pattern = row.path.replacing("{group}", with: target.group).replacing("{revision}", with: "1")
        var path = AuthorizationTableTests.filled(pattern, target.id)
        // Refused with 400 to whoever may use it: a stream would not end.
        if path.hasSuffix("/stream") { path += "?after=nonsense" }
        let body = row.path == "/v1/pools" ? try await pool(target.group == "default" ? owner : tenant) : Self.body(row)
        return try await api.send(try #require(HTTPRequest.Method(rawValue: row.method)), path, body)
    }

    private static let webhook = #"{"url":"https://hooks.example/x"}"#
    private static var secret: String { #"{"name":"\#(String.randomLabel(length: 9))","value":"x"}"# }

    private static var filesystem: String { #"{"name":"\#(String.randomLabel(length: 9))","sizeMiB":64}"# }

    /// The body of a new one, of a template that its group has.
    private func pool(_ by: API) async throws -> String {
        let template = try await by.send(.post, "/v1/templates", Self.template)["data", "templateId"]?.text ?? ""
        return #"{"name":"\#(String.randomLabel(length: 9))","templateId":"\#(template)","size":0}"#
    }

    private static var template: String { #"{"name":"\#(String.randomLabel(length: 9))"}"# }

    private static func body(_ row: AuthorizationTable.Row) -> String? {
        guard ["POST", "PUT", "PATCH"].contains(row.method) else { return nil }
        return switch row.path {
        case "/v1/sandboxes/find", "/v1/sandbox/find": #"{"name":"x"}"#
        case "/v1/sandboxes/find-or-create", "/v1/sandbox/find-or-create":
            #"{"name":"\#(String.randomLabel(length: 9))"}"#
        case "/v1/groups", "/v1/groups/{group}": #"{"name":"n"}"#
        case "/v1/webhooks": webhook
        case "/v1/secrets": secret
        case "/v1/filesystems": filesystem
        case "/v1/templates", "/v1/templates/{template}": template
        case "/v1/secrets/{secret}": #"{"value":"x"}"#
        case "/v1/groups/{group}/members":
            #"{"issuer":"https://i","subject":"\#(String.randomLabel(length: 9))","role":"viewer"}"#
        case "/v1/groups/{group}/members/{member}", "/v1/keys": #"{"role":"viewer"}"#
        default: "{}"
        }
    }

    /// The body without what must differ.
    static func blank(_ reply: Reply, _ target: Target) -> String {
        reply.text.replacing(target.id, with: "ID").replacing(target.group, with: "GROUP")
            // Whose owners run the system is said whatever the path is about.
            .replacing("the group default may", with: "the group GROUP may")
            .replacing(reply["requestId"]?.text ?? "-", with: "REQUEST")
    }
}
