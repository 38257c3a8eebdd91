package import ComputeCore
import ComputeDomain

/// `GET /openapi.json`: the public API, described in OpenAPI 3.1.
///
/// Who may use a route comes from the authorization table, the limits from where they are enforced, and a test holds the
/// routes here against those of the table: so a route cannot be forgotten. That answers are as described is tested by
/// asking a running server.
package enum OpenAPIDocument {
    /// - Parameter version: of the product.
    package static func make(version: String) -> JSONValue {
        .object([
            "openapi": .string("3.1.0"),
            "info": .object([
                "title": .string("ComputeSDK Operator"), "version": .string(version),
                "description": .string(
                    """
                    Isolated compute for code that nobody has vetted. Bodies are JSON, an empty one counts as `{}`, and \
                    a field that is null counts as absent. Times are RFC 3339 in UTC, durations whole milliseconds \
                    unless a field says otherwise. Every answer carries `X-Request-Id`, \
                    and where requests are counted `RateLimit-Limit`, `RateLimit-Policy`, `RateLimit-Remaining` and \
                    `RateLimit-Reset` (draft-ietf-httpapi-ratelimit-headers-06).
                    """),
            ]),
            // Relative to where this document was read.
            "servers": .array([.object(["url": .string("/")])]),
            "tags": .array(areas.map { .object(["name": .string($0.name), "description": .string($0.text)]) }),
            "paths": .object(paths),
            "components": .object([
                "schemas": .object(Components.schemas.mapValues(\.document)),
                "responses": .object(
                    Dictionary(uniqueKeysWithValues: Refusals.texts.map { (refusalName($0), refusal($0, $1)) })),
                "securitySchemes": .object(securitySchemes),
            ]),
        ])
    }

    static let areas: [Area] = [
        .service, .sandboxes, .snapshots, .events, .webhooks, .secrets, .filesystems, .templates, .pools, .groups,
        .credentials,
        .sandboxAuth,
    ]

    // MARK: - Routes

    private static var paths: [String: JSONValue] {
        let access = Dictionary(
            uniqueKeysWithValues: AuthorizationTable.rows.map { ("\($0.method) \($0.path)", $0.access) })
        var paths: [String: [String: JSONValue]] = [:]
        for area in areas {
            for operation in area.operations {
                // One without a row is refused to everybody; the test that compares both says which it is.
                guard let access = access["\(operation.method) \(operation.path)"] else { continue }
                paths[operation.path, default: [:]][operation.method.lowercased()] = item(operation, area, access)
            }
        }
        return paths.mapValues { .object($0) }
    }

    private static func item(_ operation: Operation, _ area: Area, _ access: RouteAccess) -> JSONValue {
        var item: [String: JSONValue] = [
            "operationId": .string(operation.id), "summary": .string(operation.summary),
            "tags": .array([.string(area.name)]),
            "responses": .object(responses(operation, access)), "security": security(access),
        ]
        item["description"] = access.sentence.map(JSONValue.string)
        if operation.isDeprecated { item["deprecated"] = .bool(true) }
        let parameters = operation.pathParameters + operation.parameters.map(\.document)
        if !parameters.isEmpty { item["parameters"] = .array(parameters) }
        if let body = operation.body {
            item["requestBody"] = .object([
                "content": json(body), "required": .bool(body.requiresSomething),
            ])
        }
        return .object(item)
    }

    private static func responses(_ operation: Operation, _ access: RouteAccess) -> [String: JSONValue] {
        var responses: [String: JSONValue] = [:]
        for status in Refusals.expected(of: operation, access) {
            responses[String(status)] = .object(["$ref": .string("#/components/responses/\(refusalName(status))")])
        }
        var answers = operation.otherAnswers
        answers[operation.status] = operation.answer
        for (status, answer) in answers {
            responses[String(status)] = description(of: answer).map(JSONValue.object)
        }
        return responses
    }

    private static func description(of answer: Operation.Answer) -> [String: JSONValue]? {
        var answered: [String: JSONValue] = ["description": .string("The answer.")]
        switch answer {
        case .data(let schema):
            answered["content"] = json(.object([.must("success", .boolean), .must("data", schema)]))
        case .page(let element):
            answered["content"] = json(
                .object([
                    .must("success", .boolean), .must("data", .list(of: element)),
                    .may("next", Schema.text.described("For the next page; absent on the last.")),
                ]))
        case .document(let schema): answered["content"] = json(schema)
        case .other(let mediaType): answered["content"] = .object([mediaType: .object([:])])
        case .empty: break
        case .never: return nil
        }
        return answered
    }

    private static func json(_ schema: Schema) -> JSONValue {
        .object(["application/json": .object(["schema": schema.document])])
    }

    // MARK: - Components

    private static func refusalName(_ status: Int) -> String { "Refused\(status)" }

    private static func refusal(_ status: Int, _ text: String) -> JSONValue {
        var refusal: [String: JSONValue] = ["description": .string(text), "content": json(.named("Problem"))]
        if status == 429 || status == 503 {
            refusal["headers"] = .object([
                "Retry-After": .object(["schema": Schema.count.document, "description": .string("In seconds.")])
            ])
        }
        return .object(refusal)
    }

    private static let securitySchemes: [String: JSONValue] = [
        "key": .object([
            "type": .string("apiKey"), "in": .string("header"), "name": .string("X-ComputeSDK-API-Key"),
            "description": .string("An API key, or a session's token."),
        ]),
        "bearer": .object([
            "type": .string("http"), "scheme": .string("bearer"),
            "description": .string("An API key, a session's token, or a sign-in of the issuer that the server trusts."),
        ]),
        "sandboxToken": .object([
            "type": .string("http"), "scheme": .string("bearer"),
            "description": .string("The `token` of a sandbox, at its own URL; also as `?token=`."),
        ]),
    ]

    private static func security(_ access: RouteAccess) -> JSONValue {
        func needs(_ names: String...) -> JSONValue { .array(names.map { .object([$0: .array([])]) }) }
        return switch access {
        case .open: .array([])
        case .computeToken: needs("sandboxToken")
        case .credential, .operators: needs("key", "bearer")
        }
    }
}

extension RouteAccess {
    /// Who may, in words.
    fileprivate var sentence: String? {
        switch self {
        case .open, .computeToken: return nil
        case .credential(let scope, let least, let kinds):
            let scope = scope.map { " and the scope `\($0.rawValue)`" } ?? ""
            let lasting = kinds.contains(.sessions) ? "" : " Not with a session."
            return "Needs the role `\(least.rawValue)`\(scope).\(lasting)"
        case .operators(let scope):
            return "For owners of the group `default`, with the scope `\(scope.rawValue)`. Not with a session."
        }
    }
}

extension Operation {
    /// `{id}` and its like: what cannot be one is 404, so nothing is said of their form.
    fileprivate var pathParameters: [JSONValue] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { part in
            .object([
                "name": .string(String(part.dropFirst().dropLast())), "in": .string("path"), "required": .bool(true),
                "schema": Schema.text.document,
            ])
        }
    }
}

extension Operation.Parameter {
    fileprivate var document: JSONValue {
        .object([
            "name": .string(name), "in": .string(place.rawValue), "description": .string(text),
            "schema": schema.document,
        ])
    }
}

extension Schema {
    fileprivate var requiresSomething: Bool {
        if case .array(let names)? = keywords["required"] { !names.isEmpty } else { false }
    }
}
