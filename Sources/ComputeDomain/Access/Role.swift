/// What a credential of a group may do at most. Each role may what those below it may.
package enum Role: String, Codable, Hashable, Sendable, CaseIterable {
    /// Looks, and opens nothing.
    case viewer
    /// Makes, uses and ends computes.
    case developer
    /// Also decides who else is in, up to his own role, and makes keys.
    case admin
    /// Also over other owners and the group itself.
    case owner

    private var rank: Int {
        switch self {
        case .viewer: 0
        case .developer: 1
        case .admin: 2
        case .owner: 3
        }
    }
}

extension Role: Comparable {
    package static func < (one: Role, other: Role) -> Bool { one.rank < other.rank }
}

/// A part of the API that a credential can be confined to. A scope opens what its name says and nothing beside it:
/// who shall write and read needs both.
package enum Scope: String, Codable, Hashable, Sendable, CaseIterable {
    case sandboxesRead = "sandboxes:read"
    /// To get the access token of a compute with it, which opens everything inside.
    case sandboxesConnect = "sandboxes:connect"
    case sandboxesWrite = "sandboxes:write"
    case eventsRead = "events:read"
    case webhooksRead = "webhooks:read"
    case webhooksWrite = "webhooks:write"
    /// Their names and versions. Values are nobody's to read.
    case secretsRead = "secrets:read"
    case secretsWrite = "secrets:write"
    /// To give them to computes that one makes, which hands over their values.
    case secretsUse = "secrets:use"
    case filesystemsRead = "filesystems:read"
    case filesystemsWrite = "filesystems:write"
    /// To mount them in computes that one makes, which opens all that is in them.
    case filesystemsUse = "filesystems:use"
    case usageRead = "usage:read"
    case templatesRead = "templates:read"
    case templatesWrite = "templates:write"
    case runtimeRead = "runtime:read"
    case groupsRead = "groups:read"
    case groupsWrite = "groups:write"
    case membersWrite = "members:write"
    case keysRead = "keys:read"
    case keysWrite = "keys:write"
    /// Sessions of others; who has one always sees and ends his own.
    case sessionsWrite = "sessions:write"
    case signingKeysWrite = "signing-keys:write"
}
