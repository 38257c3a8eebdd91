import ComputeCore

/// Which statuses mean that a request was refused, what each says, and which a route may answer.
enum Refusals {
    /// In the order of the description; the codes are those of the one error body.
    static let texts: [Int: String] = [
        400: "Not JSON, a field of the wrong type or value, or one that this server cannot honour: `field` names it.",
        401: "No credential, or none that is good.",
        403: "Not enough of a role, or not the scope.",
        404: "There is no such thing, or it is another group's.",
        408: "The body did not arrive in time.",
        409: "The state does not allow it, or the runtime lacks the ability.",
        413: "The body is larger than 1 MiB.",
        425: "A page that a browser loads ahead uses no link up.",
        429: "As many as there may be, or more often than may be.",
        501: "This version cannot do it at all.",
        503: "Not now: `Retry-After` says when, in whole seconds.",
    ]

    static func expected(of operation: Operation, _ access: RouteAccess) -> Set<Int> {
        var statuses = operation.refusals
        if AuthorizationTable.counting(operation.path) != .nobody { statuses.insert(429) }
        switch access {
        case .open: break
        case .computeToken: statuses.formUnion([400, 401, 403, 404, 503])
        case .credential, .operators: statuses.formUnion([400, 401, 403, 503])
        }
        if operation.path.contains("{") { statuses.formUnion([400, 404]) }
        if operation.body != nil { statuses.formUnion([400, 408, 413]) }
        if !operation.parameters.isEmpty { statuses.insert(400) }
        return statuses
    }
}
