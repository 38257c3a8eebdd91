import ComputeCore
package import ComputeDomain

/// Who may use a route.
package enum RouteAccess: Hashable, Sendable {
    /// Everybody.
    case open
    /// Who has a token of the compute that it is about; the route looks at it itself.
    case computeToken
    /// A credential of the API. `scope` is what it must not lack when it is confined; nil: every one will do.
    case credential(Scope?, atLeast: Role, by: Kinds = .all)
    /// An owner of the group `default`, whose system this is.
    case operators(Scope)

    package struct Kinds: OptionSet, Hashable, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }
        package static let keys = Kinds(rawValue: 1)
        package static let members = Kinds(rawValue: 2)
        package static let sessions = Kinds(rawValue: 4)
        package static let all: Kinds = [.keys, .members, .sessions]
        /// A session was handed out to stand for somebody for a while. What it made would outlive it.
        package static let lasting: Kinds = [.keys, .members]
    }
}

/// The one table of who may do what: every route of the public API by method and pattern. A route that has no row is
/// refused to everybody, so forgetting one opens nothing; a test compares the table with the router.
package enum AuthorizationTable {
    package struct Row: Hashable, Sendable {
        package var method: String
        /// As the router describes it: `/v1/sandboxes/{id}`.
        package var path: String
        package var access: RouteAccess
    }

    package static let rows: [Row] =
        health + computes + events + secrets + filesystems + templates + pools + tenants + auth

    private static let health: [Row] = [
        row("GET", "/health", .open),
        row("GET", "/ready", .open),
        row("GET", "/openapi.json", .open),
        row("GET", "/.well-known/jwks.json", .open),
    ]

    private static let computes: [Row] =
        ["/v1/sandboxes", "/v1/sandbox"].flatMap { base -> [Row] in
            [
                row("POST", base, .credential(.sandboxesWrite, atLeast: .developer)),
                row("GET", base, .credential(.sandboxesRead, atLeast: .viewer)),
                row("POST", base + "/find", .credential(.sandboxesRead, atLeast: .viewer)),
                row("POST", base + "/find-or-create", .credential(.sandboxesWrite, atLeast: .developer)),
                row("GET", base + "/{id}", .credential(.sandboxesRead, atLeast: .viewer)),
                row("DELETE", base + "/{id}", .credential(.sandboxesWrite, atLeast: .developer)),
                row("PATCH", base + "/{id}", .credential(.sandboxesWrite, atLeast: .developer)),
                row("POST", base + "/{id}/extend", .credential(.sandboxesWrite, atLeast: .developer)),
                row("POST", base + "/{id}/pause", .credential(.sandboxesWrite, atLeast: .developer)),
                row("POST", base + "/{id}/resume", .credential(.sandboxesWrite, atLeast: .developer)),
                row("POST", base + "/{id}/stop", .credential(.sandboxesWrite, atLeast: .developer)),
                row("POST", base + "/{id}/start", .credential(.sandboxesWrite, atLeast: .developer)),
            ]
        } + [
            row("POST", "/v1/snapshots", .credential(.sandboxesWrite, atLeast: .developer)),
            row("GET", "/v1/snapshots", .credential(.sandboxesRead, atLeast: .viewer)),
            row("GET", "/v1/snapshots/{snapshot}", .credential(.sandboxesRead, atLeast: .viewer)),
            row("DELETE", "/v1/snapshots/{snapshot}", .credential(.sandboxesWrite, atLeast: .developer)),
            row("GET", "/v1/usage", .credential(.usageRead, atLeast: .viewer)),
            row("GET", "/v1/runtime", .credential(.runtimeRead, atLeast: .viewer)),
        ]

    private static let events: [Row] = [
        row("GET", "/v1/events", .credential(.eventsRead, atLeast: .viewer)),
        row("GET", "/v1/events/stream", .credential(.eventsRead, atLeast: .viewer)),
        row("GET", "/events/{id}", .credential(.eventsRead, atLeast: .viewer)),
        row("POST", "/events", .computeToken),
        row("GET", "/v1/webhooks", .credential(.webhooksRead, atLeast: .admin)),
        row("POST", "/v1/webhooks", .credential(.webhooksWrite, atLeast: .admin, by: .lasting)),
        row("GET", "/v1/webhooks/{webhook}", .credential(.webhooksRead, atLeast: .admin)),
        row("PATCH", "/v1/webhooks/{webhook}", .credential(.webhooksWrite, atLeast: .admin, by: .lasting)),
        row("DELETE", "/v1/webhooks/{webhook}", .credential(.webhooksWrite, atLeast: .admin)),
        row("POST", "/v1/webhooks/{webhook}/rotate", .credential(.webhooksWrite, atLeast: .admin, by: .lasting)),
        row("GET", "/v1/webhooks/{webhook}/deliveries", .credential(.webhooksRead, atLeast: .admin)),
        row("DELETE", "/v1/webhooks/{webhook}/deliveries", .credential(.webhooksWrite, atLeast: .admin)),
        row("DELETE", "/v1/webhooks/{webhook}/deliveries/{event}", .credential(.webhooksWrite, atLeast: .admin)),
        row("POST", "/v1/webhooks/{webhook}/redeliver", .credential(.webhooksWrite, atLeast: .admin)),
        row(
            "POST", "/v1/webhooks/{webhook}/deliveries/{event}/redeliver", .credential(.webhooksWrite, atLeast: .admin)),
    ]

    /// To give them to a compute takes more than the row of its create: `ComputeService.checkSecrets`.
    private static let secrets: [Row] = [
        row("GET", "/v1/secrets", .credential(.secretsRead, atLeast: .developer)),
        row("POST", "/v1/secrets", .credential(.secretsWrite, atLeast: .admin, by: .lasting)),
        row("GET", "/v1/secrets/{secret}", .credential(.secretsRead, atLeast: .developer)),
        row("PUT", "/v1/secrets/{secret}", .credential(.secretsWrite, atLeast: .admin, by: .lasting)),
        row("DELETE", "/v1/secrets/{secret}", .credential(.secretsWrite, atLeast: .admin)),
    ]

    /// To mount them takes more than the row of the create: `ComputeService.checkFilesystems`.
    private static let filesystems: [Row] = [
        row("GET", "/v1/filesystems", .credential(.filesystemsRead, atLeast: .viewer)),
        row("POST", "/v1/filesystems", .credential(.filesystemsWrite, atLeast: .developer)),
        row("GET", "/v1/filesystems/{filesystem}", .credential(.filesystemsRead, atLeast: .viewer)),
        row("DELETE", "/v1/filesystems/{filesystem}", .credential(.filesystemsWrite, atLeast: .developer)),
    ]

    /// To create from one takes what reading it takes: `ComputeService.checkTemplate`.
    private static let templates: [Row] = [
        row("GET", "/v1/templates", .credential(.templatesRead, atLeast: .developer)),
        row("POST", "/v1/templates", .credential(.templatesWrite, atLeast: .developer)),
        row("GET", "/v1/templates/{template}", .credential(.templatesRead, atLeast: .developer)),
        row("PUT", "/v1/templates/{template}", .credential(.templatesWrite, atLeast: .developer)),
        row("DELETE", "/v1/templates/{template}", .credential(.templatesWrite, atLeast: .developer)),
        row("GET", "/v1/templates/{template}/revisions", .credential(.templatesRead, atLeast: .developer)),
        row("GET", "/v1/templates/{template}/revisions/{revision}", .credential(.templatesRead, atLeast: .developer)),
    ]

    /// Whoever decides what creates can start from decides how much of it is kept ready.
    private static let pools: [Row] = [
        row("GET", "/v1/pools", .credential(.templatesRead, atLeast: .developer)),
        row("POST", "/v1/pools", .credential(.templatesWrite, atLeast: .developer)),
        row("GET", "/v1/pools/{pool}", .credential(.templatesRead, atLeast: .developer)),
        row("PATCH", "/v1/pools/{pool}", .credential(.templatesWrite, atLeast: .developer)),
        row("DELETE", "/v1/pools/{pool}", .credential(.templatesWrite, atLeast: .developer)),
    ]

    private static let tenants: [Row] = [
        row("GET", "/v1/groups", .credential(.groupsRead, atLeast: .viewer)),
        row("POST", "/v1/groups", .operators(.groupsWrite)),
        row("GET", "/v1/groups/{group}", .credential(.groupsRead, atLeast: .viewer)),
        row("PATCH", "/v1/groups/{group}", .credential(.groupsWrite, atLeast: .owner)),
        row("DELETE", "/v1/groups/{group}", .credential(.groupsWrite, atLeast: .owner, by: .lasting)),
        row("GET", "/v1/groups/{group}/quotas", .credential(.groupsRead, atLeast: .viewer)),
        row("PUT", "/v1/groups/{group}/quotas", .operators(.groupsWrite)),
        row("GET", "/v1/groups/{group}/members", .credential(.groupsRead, atLeast: .viewer)),
        row("POST", "/v1/groups/{group}/members", .credential(.membersWrite, atLeast: .admin, by: .lasting)),
        row("GET", "/v1/groups/{group}/members/{member}", .credential(.groupsRead, atLeast: .viewer)),
        row("PATCH", "/v1/groups/{group}/members/{member}", .credential(.membersWrite, atLeast: .admin, by: .lasting)),
        row("DELETE", "/v1/groups/{group}/members/{member}", .credential(.membersWrite, atLeast: .admin, by: .lasting)),
        row("GET", "/v1/keys", .credential(.keysRead, atLeast: .admin)),
        row("POST", "/v1/keys", .credential(.keysWrite, atLeast: .admin, by: .lasting)),
        row("GET", "/v1/keys/{key}", .credential(.keysRead, atLeast: .admin)),
        row("DELETE", "/v1/keys/{key}", .credential(.keysWrite, atLeast: .admin)),
        row("POST", "/v1/keys/{key}/rotate", .credential(.keysWrite, atLeast: .admin, by: .lasting)),
        row("POST", "/v1/sessions", .credential(nil, atLeast: .viewer, by: .lasting)),
        row("GET", "/v1/sessions", .credential(nil, atLeast: .viewer)),
        row("GET", "/v1/sessions/{session}", .credential(nil, atLeast: .viewer)),
        row("DELETE", "/v1/sessions/{session}", .credential(nil, atLeast: .viewer)),
        row("GET", "/v1/signing-keys", .operators(.signingKeysWrite)),
        row("POST", "/v1/signing-keys", .operators(.signingKeysWrite)),
    ]

    private static let auth: [Row] = ["/auth", "/s/{id}/auth"].flatMap { base -> [Row] in
        [
            row("GET", base + "/status", .computeToken),
            row("GET", base + "/info", .computeToken),
            row("POST", base + "/token", .computeToken),
            row("POST", base + "/session_tokens", .computeToken),
            row("GET", base + "/session_tokens", .computeToken),
            row("GET", base + "/session_tokens/{token}", .computeToken),
            row("DELETE", base + "/session_tokens/{token}", .computeToken),
            row("POST", base + "/magic-links", .computeToken),
            row("POST", base + "/magic-link", .computeToken),
            row("GET", base + "/magic", .computeToken),
        ]
    }

    private static func row(_ method: String, _ path: String, _ access: RouteAccess) -> Row {
        Row(method: method, path: path, access: access)
    }

    private static let byPath = Dictionary(grouping: rows, by: \.path).mapValues { rows in
        Dictionary(uniqueKeysWithValues: rows.map { ($0.method, $0.access) })
    }

    /// What the methods of a path ask for: the same kind, all of them. nil for what is no route.
    static func access(_ path: String) -> RouteAccess? { byPath[path]?.first?.value }

    /// - Throws: 403 for who may not, and for a route without a row; 405 for another method of one that has.
    static func check(_ caller: Caller, _ method: String, _ path: String) throws(Problem) {
        guard let methods = byPath[path] else { throw .forbidden("this route is not open to anybody") }
        guard let access = methods[method == "HEAD" ? "GET" : method] else {
            let allowed = Set(methods.keys).union(methods["GET"] == nil ? [] : ["HEAD"]).sorted()
            throw .wrongMethod(allowed)
        }
        if let refusal = access.refusal(of: caller) { throw refusal }
    }
}

extension RouteAccess {
    /// nil: he may. What is missing is said: he who has a key may know what it is for.
    func refusal(of caller: Caller) -> Problem? {
        switch self {
        case .open, .computeToken: return nil
        case .credential(let scope, let least, let kinds):
            if let kind = caller.credential?.kind, !kinds.contains(Kinds(kind)) {
                return .forbidden("a session cannot do this; use the key or the sign-in that it was made with")
            }
            return caller.authority.permits(scope, atLeast: least) ? nil : .needs(scope, least)
        case .operators(let scope):
            guard caller.group == .default else {
                return .forbidden("only an owner of the group \(GroupID.default) may do this")
            }
            if let kind = caller.credential?.kind, !Kinds.lasting.contains(Kinds(kind)) {
                return .forbidden("a session cannot do this; use the key or the sign-in that it was made with")
            }
            return caller.authority.permits(scope, atLeast: .owner) ? nil : .needs(scope, .owner)
        }
    }
}

extension RouteAccess.Kinds {
    init(_ kind: AccessRecord.Kind) {
        switch kind {
        case .key: self = .keys
        case .member: self = .members
        case .session: self = .sessions
        // No credential; nothing is open to it.
        case .group: self = []
        }
    }
}

extension Problem {
    static func forbidden(_ message: String, field: String? = nil) -> Problem {
        Problem(status: 403, code: .forbidden, message: message, field: field)
    }

    static func needs(_ scope: Scope?, _ least: Role, field: String? = nil) -> Problem {
        .forbidden(
            "\(field ?? "this") needs the role \(least.rawValue) or above"
                + (scope.map { " and the scope \($0.rawValue)" } ?? ""), field: field)
    }

    static func wrongMethod(_ allowed: [String]) -> Problem {
        Problem(
            status: 405, code: .methodNotAllowed,
            message: "this route answers to \(allowed.joined(separator: ", ")) only")
    }
}

extension Authority {
    /// For who names a template: whoever makes a compute of it, or keeps some ready, reads what it says.
    func checkUsesTemplates() throws(Problem) {
        guard permits(.templatesRead, atLeast: .developer) else {
            throw .needs(.templatesRead, .developer, field: "templateId")
        }
    }

    /// For who decides what a compute is given: whoever makes one reads its secrets, and reads and changes what it mounts. A power
    /// of its own, which a key for computes or templates alone has not.
    func check(usesSecrets: Bool, usesFilesystems: Bool) throws(Problem) {
        for (field, isUsed, scope) in [
            ("secrets", usesSecrets, Scope.secretsUse), ("filesystems", usesFilesystems, .filesystemsUse),
        ] where isUsed && !permits(scope, atLeast: .developer) {
            throw .needs(scope, .developer, field: field)
        }
    }
}
