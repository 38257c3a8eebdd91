package import ComputeCore
package import EventSourcing

/// What can happen to a key that signs tokens. For the record only: the keys themselves are kept elsewhere.
package enum SigningKeyEvent: Hashable, Sendable {
    /// It is published, and signs after that. With `withdrawsOthers` it signs at once, and no other one is good any longer.
    case announced(kid: String, withdrawsOthers: Bool)
}

extension SigningKeyEvent: DomainEvent {
    package enum TypeName: String, Sendable, CaseIterable {
        case announced = "SigningKeyAnnounced"
    }

    package var recorded: NewEvent {
        switch self {
        case .announced(let kid, let withdrawsOthers):
            NewEvent(
                type: TypeName.announced.rawValue,
                data: .object(["kid": .string(kid), "withdrawsOthers": .bool(withdrawsOthers)]))
        }
    }

    package init?(type: String, data: JSONValue) throws(EventStoreError) {
        guard TypeName(rawValue: type) != nil else { return nil }
        do throws(Problem) {
            let fields = try FieldReader(data)
            self = .announced(
                kid: try fields.requiredString("kid"), withdrawsOthers: try fields.bool("withdrawsOthers") ?? false)
        } catch {
            throw EventStoreError(.corrupt, "the data of a \(type) do not fit: \(error.message)", cause: error)
        }
    }
}

extension StreamID {
    package static let signingKeyCategory = "signingkey"
    package static func signingKey(_ kid: String) -> StreamID { StreamID(category: signingKeyCategory, id: kid) }
}
