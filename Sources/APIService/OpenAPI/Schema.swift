import ComputeCore

/// A JSON Schema in the dialect of OpenAPI 3.1, made of the few words that this API needs.
struct Schema: Sendable {
    private(set) var keywords: [String: JSONValue]

    var document: JSONValue { .object(keywords) }

    private init(_ keywords: [String: JSONValue]) { self.keywords = keywords }

    private init(type: String, _ keywords: [String: JSONValue] = [:]) {
        self.init(keywords.merging(["type": .string(type)]) { _, type in type })
    }

    // MARK: - Values

    static let anything = Schema([:])
    static let text = Schema(type: "string")
    static let time = Schema(type: "string", ["format": .string("date-time")])
    static let boolean = Schema(type: "boolean")
    static let number = Schema(type: "number")
    /// An object of whatever fields.
    static let object = Schema(type: "object")

    /// - Parameter length: in characters. Where the server counts bytes, the description says so.
    static func text(_ length: ClosedRange<Int>, pattern: String? = nil) -> Schema {
        var schema = Schema(
            type: "string",
            ["minLength": .int(Int64(length.lowerBound)), "maxLength": .int(Int64(length.upperBound))])
        schema.keywords["pattern"] = pattern.map(JSONValue.string)
        return schema
    }

    static func integer(_ range: ClosedRange<Int64>) -> Schema {
        Schema(type: "integer", ["minimum": .int(range.lowerBound), "maximum": .int(range.upperBound)])
    }

    static let count = Schema(type: "integer", ["minimum": .int(0)])

    static func number(in range: ClosedRange<Double>) -> Schema {
        Schema(type: "number", ["minimum": .double(range.lowerBound), "maximum": .double(range.upperBound)])
    }

    static func word(_ words: [String]) -> Schema {
        Schema(type: "string", ["enum": .array(words.map(JSONValue.string))])
    }

    static func list(of element: Schema, atMost limit: Int? = nil) -> Schema {
        var schema = Schema(type: "array", ["items": element.document])
        schema.keywords["maxItems"] = limit.map { .int(Int64($0)) }
        return schema
    }

    /// - Parameter names: what the keys are like.
    static func map(of value: Schema, names: Schema) -> Schema {
        Schema(type: "object", ["additionalProperties": value.document, "propertyNames": names.document])
    }

    // MARK: - Objects

    struct Field: Sendable {
        var name: String
        var schema: Schema
        var isRequired: Bool
    }

    /// Part of an answer.
    static func object(_ fields: [Field]) -> Schema {
        Schema(
            type: "object",
            [
                "properties": .object(
                    Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.schema.document) })),
                "required": .array(fields.filter(\.isRequired).map { .string($0.name) }),
            ])
    }

    /// The body of a request: what may be absent may be null as well.
    static func order(_ fields: [Field]) -> Schema {
        object(fields.map { $0.isRequired ? $0 : .may($0.name, $0.schema.orNull) })
    }

    /// One of `Components.schemas`.
    static func named(_ name: String) -> Schema { Schema(["$ref": .string("#/components/schemas/\(name)")]) }

    func adding(_ fields: [Field]) -> Schema { Schema(["allOf": .array([document, Schema.object(fields).document])]) }

    func described(_ text: String) -> Schema {
        var schema = self
        schema.keywords["description"] = .string(text)
        return schema
    }

    var orNull: Schema {
        guard case .string(let type)? = keywords["type"] else {
            return Schema(["anyOf": .array([document, Schema(type: "null").document])])
        }
        var schema = self
        schema.keywords["type"] = .array([.string(type), .string("null")])
        if case .array(let words)? = keywords["enum"] { schema.keywords["enum"] = .array(words + [.null]) }
        return schema
    }
}

extension Schema.Field {
    static func must(_ name: String, _ schema: Schema) -> Self { .init(name: name, schema: schema, isRequired: true) }
    static func may(_ name: String, _ schema: Schema) -> Self { .init(name: name, schema: schema, isRequired: false) }
}
