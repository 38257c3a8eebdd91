package import ComputeCore

/// The checked body of `POST /v1/webhooks` and `PATCH /v1/webhooks/{id}`; what is absent stays as it is.
package struct WebhookOrder: Hashable, Sendable {
    package static let maxTypes = 50
    package static let maxDescriptionBytes = 1024

    package var url: String?
    package var types: [String]?
    package var description: String?
    package var isActive: Bool?

    package init(_ document: JSONValue, urlIsRequired: Bool) throws(Problem) {
        let fields = try FieldReader(document)
        url = urlIsRequired ? try fields.requiredString("url") : try fields.string("url")
        description = try fields.string("description")
        if let description, description.utf8.count > Self.maxDescriptionBytes {
            throw .invalid("description", "description must have at most \(Self.maxDescriptionBytes) bytes")
        }
        isActive = try fields.bool("active")
        guard let list = try fields.array("types") else { return }
        var types: [String] = []
        for element in list {
            guard case .string(let type) = element, (1...64).contains(type.utf8.count),
                type.utf8.allSatisfy({
                    ($0 | 0x20).isLowercaseLetter || $0.isDigit || [0x2E, 0x5F, 0x2D].contains($0)
                })
            else { throw .invalid("types", "types must hold names of event types, such as ComputeEnded") }
            types.append(type)
        }
        guard types.count <= Self.maxTypes else {
            throw .invalid("types", "types must hold at most \(Self.maxTypes) names")
        }
        self.types = types
    }
}

/// A webhook in answers.
package struct WebhookView: Codable, Hashable, Sendable {
    package var id: WebhookID
    package var url: String
    /// Empty for all.
    package var types: [String]
    package var description: String?
    package var active: Bool
    /// Why the server stopped it; absent when it did not.
    package var disabledReason: String?
    /// Only where it was just made: what signatures are made with.
    package var secret: String?
    package var createdAt: WallTime
    package var updatedAt: WallTime
    package var deliveries: Deliveries?

    /// What did not arrive at the first attempt.
    package struct Deliveries: Codable, Hashable, Sendable {
        package var retrying: Int
        package var dead: Int
        package init(retrying: Int, dead: Int) {
            self.retrying = retrying
            self.dead = dead
        }
    }

    package init(
        id: WebhookID, url: String, types: [String], description: String?, active: Bool, disabledReason: String?,
        secret: String?, createdAt: WallTime, updatedAt: WallTime, deliveries: Deliveries?
    ) {
        self.id = id
        self.url = url
        self.types = types
        self.description = description
        self.active = active
        self.disabledReason = disabledReason
        self.secret = secret
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.deliveries = deliveries
    }
}

/// A delivery that failed.
package struct WebhookDeliveryView: Codable, Hashable, Sendable {
    package var eventId: String
    package var type: String
    package var state: String
    package var attempts: Int
    /// When it is tried again; absent for a dead one.
    package var nextAttemptAt: WallTime?
    package var lastStatus: Int?
    package var lastError: String?
    package var firstFailedAt: WallTime
    package var lastFailedAt: WallTime

    package init(
        eventId: String, type: String, state: String, attempts: Int, nextAttemptAt: WallTime?, lastStatus: Int?,
        lastError: String?, firstFailedAt: WallTime, lastFailedAt: WallTime
    ) {
        self.eventId = eventId
        self.type = type
        self.state = state
        self.attempts = attempts
        self.nextAttemptAt = nextAttemptAt
        self.lastStatus = lastStatus
        self.lastError = lastError
        self.firstFailedAt = firstFailedAt
        self.lastFailedAt = lastFailedAt
    }
}

/// `data` of what is done to dead deliveries: to how many.
package struct DeliveryCount: Codable, Hashable, Sendable {
    package var count: Int
    package init(count: Int) { self.count = count }
}
