package import ComputeCore

/// The power of one credential, as a value: a role, confined to scopes if it is, until a time if it has one.
package struct Authority: Hashable, Sendable {
    package var role: Role
    /// nil: all that the role may.
    package var scopes: Set<Scope>?
    package var expiresAt: WallTime?

    package init(role: Role, scopes: Set<Scope>? = nil, expiresAt: WallTime? = nil) {
        self.role = role
        self.scopes = scopes
        self.expiresAt = expiresAt
    }

    package func permits(_ scope: Scope?, atLeast least: Role) -> Bool {
        least <= role && (scope.map { scopes?.contains($0) ?? true } ?? true)
    }

    /// What is left when whoever stands behind this credential has only `other` now.
    package func limited(by other: Authority) -> Authority {
        let both: Set<Scope>? =
            switch (scopes, other.scopes) {
            case (let mine?, let others?): mine.intersection(others)
            case (let some, nil), (nil, let some): some
            }
        return Authority(
            role: min(role, other.role), scopes: both,
            expiresAt: [expiresAt, other.expiresAt].compactMap(\.self).min())
    }

    /// Whether this one can hand out `other` without giving more than it has: no higher role, no further scope, and no
    /// longer life.
    package func covers(_ other: Authority) -> Bool {
        other.role <= role && limited(by: other).scopes == other.scopes
            && (expiresAt.map { mine in other.expiresAt.map { $0 <= mine } ?? false } ?? true)
    }
}

extension Authority {
    /// As events and rows spell it.
    var fields: [String: JSONValue] {
        var fields: [String: JSONValue] = ["role": .string(role.rawValue)]
        fields["scopes"] = scopes.map { .array($0.map(\.rawValue).sorted().map(JSONValue.string)) }
        fields["expiresAt"] = expiresAt.map { .string($0.rfc3339) }
        return fields
    }

    /// Without a role it is an owner's: keys were that before there were roles.
    init(_ reader: EventDataReader) throws(Problem) {
        var role = Role.owner
        if let text = try reader.fields.string("role") { role = try Role(checked: text, "role") }
        var scopes: Set<Scope>?
        if reader.fields.value("scopes") != nil {
            // A scope that this version does not know opens nothing here.
            scopes = Set(try reader.strings("scopes").compactMap { Scope(rawValue: $0) })
        }
        var expiresAt: WallTime?
        if reader.fields.value("expiresAt") != nil { expiresAt = try reader.time("expiresAt") }
        self.init(role: role, scopes: scopes, expiresAt: expiresAt)
    }
}

extension Role {
    package init(checked text: String, _ field: String) throws(Problem) {
        guard let role = Role(rawValue: text) else {
            throw .invalid(field, "\(field) must be one of \(Role.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = role
    }
}
