package import ComputeCore

/// The checked body of `POST /events`: something that a program in a compute, or beside it, wants to be on record.
package struct EmitEvent: Hashable, Sendable {
    package static let maxTypeBytes = 64
    package static let maxDataBytes = 16 << 10

    package var type: String
    package var data: [String: JSONValue]

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        type = try fields.requiredString("type")
        guard Self.isType(type) else {
            throw .invalid(
                "type",
                "type must be words of a-z 0-9 _ - with dots between, a letter first, at most \(Self.maxTypeBytes) bytes, "
                    + "such as build.finished")
        }
        data = try fields.object("data") ?? [:]
        guard JSONValue.object(data).utf8.count <= Self.maxDataBytes else {
            throw .invalid("data", "data must have at most \(Self.maxDataBytes) bytes")
        }
    }

    /// Our own types start with a capital letter, so that nobody can make an event that looks like one of them.
    package static func isType(_ text: String) -> Bool {
        text.utf8.count <= maxTypeBytes && text.utf8.first?.isLowercaseLetter == true
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { word in
                !word.isEmpty
                    && word.utf8.allSatisfy {
                        $0.isLowercaseLetter || $0.isDigit || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
                    }
            }
    }
}

/// The answer to it, as the events client reads it.
package struct EmittedEvent: Codable, Hashable, Sendable {
    package var eventId: String
    package var sandboxId: ComputeID
    package var type: String
    package var timestamp: WallTime

    package init(eventId: String, sandboxId: ComputeID, type: String, timestamp: WallTime) {
        self.eventId = eventId
        self.sandboxId = sandboxId
        self.type = type
        self.timestamp = timestamp
    }
}

/// `data` of `GET /events/{sandboxId}`.
package struct SandboxHistory: Codable, Hashable, Sendable {
    package struct Entry: Codable, Hashable, Sendable {
        package var id: String
        package var sandboxId: ComputeID
        package var workspaceId: String
        package var type: String
        package var data: JSONValue
        package var timestamp: WallTime

        package init(_ event: SandboxEvent, of id: ComputeID, workspaceId: String) {
            self.id = event.id
            self.sandboxId = id
            self.workspaceId = workspaceId
            self.type = event.type
            self.data = event.data
            self.timestamp = event.timestamp
        }
    }
    package var sandboxId: ComputeID
    package var events: [Entry]
    package var count: Int

    package init(sandboxId: ComputeID, events: [Entry]) {
        self.sandboxId = sandboxId
        self.events = events
        self.count = events.count
    }
}
