package import ComputeCore

/// What a connection of `/ws` is told (contract §2.4). Always sent as JSON in a text frame: the decoders of public
/// clients lose events in binary ones.
package struct SocketEvent: Hashable, Sendable {
    package var type: String
    /// Empty: about no channel.
    package var channel: String
    package var data: [String: JSONValue]

    package init(_ type: String, channel: String = "", _ data: [String: JSONValue] = [:]) {
        self.type = type
        self.channel = channel
        self.data = data
    }

    /// About what the connection sent.
    package static func error(_ message: String, channel: String = "") -> SocketEvent {
        SocketEvent("error", channel: channel, ["error": .string(message)])
    }

    package var document: JSONValue {
        var members: [String: JSONValue] = ["type": .string(type), "data": .object(data)]
        // Clients filter by channel, so an event without one has no such member.
        if !channel.isEmpty { members["channel"] = .string(channel) }
        return .object(members)
    }

    /// About what it costs to keep it.
    var footprint: Int { 64 + type.utf8.count + channel.utf8.count + JSONValue.object(data).footprint }
}

extension JSONValue {
    fileprivate var footprint: Int {
        switch self {
        case .null, .bool, .int, .double: 16
        case .string(let text): 16 + text.utf8.count
        case .array(let values): values.reduce(16) { $0 + $1.footprint }
        case .object(let members): members.reduce(16) { $0 + 16 + $1.key.utf8.count + $1.value.footprint }
        }
    }
}
