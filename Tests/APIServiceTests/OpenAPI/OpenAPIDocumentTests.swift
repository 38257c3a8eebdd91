import APIService
import ComputeCore
import HTTPTypes
import Testing

struct OpenAPIDocumentTests {
    private let document = OpenAPIDocument.make(version: "1.2.3")

    @Test func everyRouteIsDescribedAndNothingElseIs() throws {
        let described = try operations().map { "\($0.method) \($0.path)" }.sorted()
        #expect(described == AuthorizationTable.rows.map { "\($0.method) \($0.path)" }.sorted())
    }

    /// Generated clients name their methods after them.
    @Test func everyOperationHasANameOfItsOwn() throws {
        let names = try operations().map { try #require($0.item["operationId"]?.text) }
        #expect(Set(names).count == names.count)
    }

    @Test func whatIsReferredToIsThere() throws {
        var references: Set<String> = []
        document.collectReferences(&references)
        #expect(references.contains("#/components/schemas/Sandbox"))
        for reference in references {
            var place: JSONValue? = document
            for part in reference.split(separator: "/").dropFirst() { place = place?[String(part)] }
            #expect(place != nil, "\(reference)")
        }
    }

    /// A path's parameters, or a client sends its braces.
    @Test func everyPlaceInAPathIsAParameter() throws {
        for operation in try operations() {
            let places = operation.path.split(separator: "/").filter { $0.hasPrefix("{") }.count
            guard case .array(let parameters)? = operation.item["parameters"] ?? .array([]) else { continue }
            #expect(parameters.filter { $0["in"] == .string("path") }.count == places, "\(operation.path)")
        }
    }

    @Test func whoMayIsSaidAsTheTableHasIt() throws {
        let create = try #require(try operations().first { $0.method == "POST" && $0.path == "/v1/sandboxes" })
        #expect(create.item["description"] == .string("Needs the role `developer` and the scope `sandboxes:write`."))
        let health = try #require(try operations().first { $0.path == "/health" })
        #expect(health.item["security"] == .array([]))
    }

    @Test func itIsServedToEverybody() async throws {
        try await World().withAPI { api async throws in
            let reply = try await api.send(.get, "/openapi.json", authenticated: false)
            #expect(reply.status == 200)
            #expect(reply["openapi"] == .string("3.1.0"))
            #expect(reply.headers[.accessControlAllowOrigin] == "*")
        }
    }

    // MARK: - Reading it

    private struct Described {
        var method: String
        var path: String
        var item: [String: JSONValue]
    }

    private func operations() throws -> [Described] {
        try #require(document["paths"]).fields.flatMap { path, methods in
            methods.fields.map { Described(method: $0.uppercased(), path: path, item: $1.fields) }
        }
    }
}

extension JSONValue {
    fileprivate var fields: [String: JSONValue] { if case .object(let fields) = self { fields } else { [:] } }

    fileprivate func collectReferences(_ found: inout Set<String>) {
        switch self {
        case .object(let fields):
            if let reference = fields["$ref"]?.text { found.insert(reference) }
            for value in fields.values { value.collectReferences(&found) }
        case .array(let values): for value in values { value.collectReferences(&found) }
        case .null, .bool, .int, .double, .string: break
        }
    }
}
