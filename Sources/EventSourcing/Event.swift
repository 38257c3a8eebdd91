package import ComputeCore

/// The identity of one aggregate's history: `compute-<id>`, `group-<id>`, `apikey-<id>`, `apisession-<id>`, `session-<id>`,
/// `magiclink-<id>`, `secret-<group and name>`, `filesystem-<id>`, `template-<id>`, `pool-<id>`.
package struct StreamID: Hashable, Sendable, CustomStringConvertible {
    /// The kind of aggregate, without a hyphen.
    package let category: String
    package let id: String

    package init(category: String, id: String) {
        self.category = category
        self.id = id
    }

    package var rawValue: String { "\(category)-\(id)" }
    package var description: String { rawValue }

    package init?(rawValue: String) {
        guard let hyphen = rawValue.firstIndex(of: "-") else { return nil }
        self.init(category: String(rawValue[..<hyphen]), id: String(rawValue[rawValue.index(after: hyphen)...]))
    }
}

/// Who did it, in which request, from where. Travels with every event.
package struct EventMetadata: Hashable, Sendable {
    /// `key:<id>`, `session:<id>` (of the API), `member:<id>`, `token:<id>` (an access token), `link:<id>`, `operator`, or
    /// `system` for the reaper and the sweep.
    package var actor: String
    package var requestID: String?
    package var traceID: String?
    /// The caller's address as the API saw it.
    package var source: String?

    package init(actor: String, requestID: String? = nil, traceID: String? = nil, source: String? = nil) {
        self.actor = actor
        self.requestID = requestID
        self.traceID = traceID
        self.source = source
    }

    /// As it is stored. nil for what is none.
    package init?(_ document: JSONValue) {
        guard case .object(let fields) = document, case .string(let actor)? = fields["actor"] else { return nil }
        func text(_ name: String) -> String? {
            if case .string(let text)? = fields[name] { text } else { nil }
        }
        self.init(actor: actor, requestID: text("requestID"), traceID: text("traceID"), source: text("source"))
    }

    /// As it is stored: what is absent has no key.
    package var document: JSONValue {
        let fields = ["actor": actor, "requestID": requestID, "traceID": traceID, "source": source]
        return .object(fields.compactMapValues { $0.map { .string($0) } })
    }

    package static let system = EventMetadata(actor: "system")
}

/// An event that is about to be appended. `data` is a JSON object; secrets, tokens and hashes never enter it.
package struct NewEvent: Hashable, Sendable {
    package var type: String
    package var data: JSONValue

    package init(type: String, data: JSONValue) {
        self.type = type
        self.data = data
    }
}

/// An event as the log holds it. Never edited.
package struct RecordedEvent: Hashable, Sendable {
    /// A number that no other event has, with gaps, and not for clients: they get a `Cursor`. Where commits happen at the
    /// same time it is not the order of the log, which only the store knows.
    package var position: Int64
    package var stream: StreamID
    /// 1 for the stream's first event.
    package var version: Int
    package var group: GroupID
    package var type: String
    package var data: JSONValue
    package var metadata: EventMetadata
    package var occurredAt: WallTime

    package init(
        position: Int64, stream: StreamID, version: Int, group: GroupID, type: String, data: JSONValue,
        metadata: EventMetadata, occurredAt: WallTime
    ) {
        self.position = position
        self.stream = stream
        self.version = version
        self.group = group
        self.type = type
        self.data = data
        self.metadata = metadata
        self.occurredAt = occurredAt
    }
}
