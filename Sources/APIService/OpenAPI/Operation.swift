import ComputeCore

/// Routes that belong together, for people who read.
struct Area: Sendable {
    var name: String
    var text: String
    var operations: [Operation]
}

/// What the description says of one route beside what the authorization table knows of it.
struct Operation: Sendable {
    enum Answer: Sendable {
        /// `{"success": true, "data": …}`
        case data(Schema)
        /// The same with a list, and `next` when there is more.
        case page(of: Schema)
        /// A document as it is.
        case document(Schema)
        /// Something else than JSON.
        case other(mediaType: String)
        case empty
        /// It is always refused.
        case never
    }

    struct Parameter: Sendable {
        enum Place: String, Sendable { case query, header }
        var name: String
        var place: Place
        var schema: Schema
        var text: String

        static func query(_ name: String, _ schema: Schema, _ text: String) -> Self {
            Parameter(name: name, place: .query, schema: schema, text: text)
        }
        static func header(_ name: String, _ schema: Schema, _ text: String) -> Self {
            Parameter(name: name, place: .header, schema: schema, text: text)
        }
        static let limit = query("limit", .integer(1...1000), "How many at most; 100 when absent.")
        static let cursor = query("cursor", .text, "The `next` of the page before.")
    }

    var method: String
    /// As in the authorization table.
    var path: String
    /// `operationId`: unique, the name that generated clients give it.
    var id: String
    var summary: String
    var parameters: [Parameter] = []
    var body: Schema?
    var status = 200
    var answer: Answer
    /// Answers that are neither a success nor a refusal.
    var otherAnswers: [Int: Answer] = [:]
    /// What it may refuse with beside that which is the same for all of its kind (`Refusals.expected`).
    var refusals: Set<Int> = []
    var isDeprecated = false
}
