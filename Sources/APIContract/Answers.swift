/// `{"success":true,"data":…}` with status 200: every success, because the public clients parse every body.
///
/// `data` is written also when it is nil, as `null`: that is what a find without a hit answers. Nothing else may
/// use an optional here, since the Python client reads `data` without looking.
package struct Success<Payload: Encodable & Sendable>: Encodable, Sendable {
    package var data: Payload

    package init(_ data: Payload) { self.data = data }

    private enum CodingKeys: String, CodingKey { case success, data }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(true, forKey: .success)
        try container.encode(data, forKey: .data)
    }
}

/// A page of a list. `next` is absent on the last page.
package struct SuccessList<Element: Codable & Sendable>: Codable, Sendable {
    package var success = true
    package var data: [Element]
    package var next: String?

    package init(_ data: [Element], next: String?) {
        self.data = data
        self.next = next
    }
}

/// `GET /health` and `GET /ready`, which clients read without an envelope.
package struct Readiness: Codable, Hashable, Sendable {
    /// `ok` or `unavailable`.
    package var status: String
    /// What stands in the way; absent when nothing does.
    package var reasons: [String]?

    package init(reasons: [String] = []) {
        status = reasons.isEmpty ? "ok" : "unavailable"
        self.reasons = reasons.isEmpty ? nil : reasons
    }
}
