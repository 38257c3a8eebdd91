package import ComputeCore
package import ComputeDomain

// The checked bodies of the routes about who may do what.

/// `POST /v1/keys`.
package struct CreateKey: Hashable, Sendable {
    package var label: String
    package var role: Role
    /// nil: as the caller's.
    package var scopes: Set<Scope>?
    /// nil: as the caller's, which is usually for good.
    package var lifetime: Duration?

    package static let lifetimeRange: ClosedRange<Int64> = 60...315_360_000

    package init(label: String, role: Role, scopes: Set<Scope>? = nil, lifetime: Duration? = nil) {
        self.label = label
        self.role = role
        self.scopes = scopes
        self.lifetime = lifetime
    }

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        label = try fields.text("label", atMost: 128) ?? ""
        role = try Role(checked: try fields.requiredString("role"), "role")
        scopes = try fields.scopes("scopes")
        lifetime = try fields.integer("expiresIn", in: Self.lifetimeRange).map { .seconds($0) }
    }
}

/// `POST /v1/keys/{key}/rotate`.
package struct RotateKey: Hashable, Sendable {
    /// Up to a week, for whoever has to carry the new one around by hand. Other than a revocation a
    /// rotation ends nothing that the key bought.
    package static let overlapRange: ClosedRange<Int64> = 0...604_800
    package static let defaultOverlap: Duration = .seconds(3600)
    package var overlap: Duration

    package init(_ document: JSONValue) throws(Problem) {
        overlap =
            try FieldReader(document).integer("overlap", in: Self.overlapRange).map { .seconds($0) }
            ?? Self.defaultOverlap
    }
}

/// `POST /v1/sessions`.
package struct CreateAPISession: Hashable, Sendable {
    /// No longer than a day: who needs more has the key.
    package static let lifetimeRange: ClosedRange<Int64> = 60...86_400
    package static let defaultLifetime: Duration = .seconds(3600)

    package var description: String?
    /// nil: as the caller's, like the scopes.
    package var role: Role?
    package var scopes: Set<Scope>?
    package var lifetime: Duration

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        description = try fields.text("description", atMost: 1024)
        role = try fields.string("role").map { (text) throws(Problem) in try Role(checked: text, "role") }
        scopes = try fields.scopes("scopes")
        lifetime =
            try fields.integer("expiresIn", in: Self.lifetimeRange).map { .seconds($0) } ?? Self.defaultLifetime
    }
}

/// `POST /v1/groups` and `PATCH /v1/groups/{group}`.
package struct NameGroup: Hashable, Sendable {
    package var name: String

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        guard let name = try fields.text("name", atMost: 128), !name.isEmpty else {
            throw .invalid("name", "name is required")
        }
        self.name = name
    }
}

/// `PUT /v1/groups/{group}/quotas`: all that the group shall have for itself.
package struct LimitGroup: Hashable, Sendable {
    package var quotas: GroupQuotas

    /// - Throws: 400 also for a field that nobody knows: who limits something under a wrong name would limit nothing.
    package init(_ document: JSONValue) throws(Problem) {
        quotas = try GroupQuotas(try FieldReader(document))
        guard case .object(let fields) = document else { return }
        let known = Quota.allCases.map(\.rawValue)
        if let name = fields.keys.sorted().first(where: { !known.contains($0) }) {
            throw Problem(
                status: 400, code: .unsupportedField,
                message: "\(name) is not known; there are \(known.joined(separator: ", "))", field: name)
        }
    }
}

/// `POST /v1/groups/{group}/members`.
package struct AddMember: Hashable, Sendable {
    package var subject: Subject
    package var name: String?
    package var role: Role

    /// - Parameter issuer: who vouches for people here; nil when nobody was named, and then the body has to.
    package init(_ document: JSONValue, issuer: String?) throws(Problem) {
        let fields = try FieldReader(document)
        guard let issuer = try fields.text("issuer", atMost: 512) ?? issuer, !issuer.isEmpty else {
            throw .invalid("issuer", "issuer is required, because this server trusts no issuer by itself")
        }
        guard let subject = try fields.text("subject", atMost: 255), !subject.isEmpty else {
            throw .invalid("subject", "subject is required")
        }
        self.subject = Subject(issuer: issuer, name: subject)
        name = try fields.text("name", atMost: 128)
        role = try Role(checked: try fields.requiredString("role"), "role")
    }
}

/// `PATCH /v1/groups/{group}/members/{member}`.
package struct ChangeMember: Hashable, Sendable {
    package var role: Role

    package init(_ document: JSONValue) throws(Problem) {
        role = try Role(checked: try FieldReader(document).requiredString("role"), "role")
    }
}

/// `POST /v1/signing-keys`.
package struct RotateSigningKeys: Hashable, Sendable {
    /// Whether the old ones are good no longer from now on, with every token that they signed.
    package var withdrawsOld: Bool

    package init(_ document: JSONValue) throws(Problem) {
        withdrawsOld = try FieldReader(document).bool("withdraw") ?? false
    }
}

extension FieldReader {
    /// For people: no control characters, which would hide what a list shows.
    func text(_ name: String, atMost limit: Int) throws(Problem) -> String? {
        guard let text = try string(name) else { return nil }
        guard text.utf8.count <= limit, text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
            throw .invalid(path(name), "\(path(name)) must be at most \(limit) bytes without control characters")
        }
        return text
    }

    func scopes(_ name: String) throws(Problem) -> Set<Scope>? {
        guard let list = try array(name) else { return nil }
        var scopes: Set<Scope> = []
        for element in list {
            guard case .string(let text) = element, let scope = Scope(rawValue: text) else {
                throw .invalid(
                    path(name),
                    "\(path(name)) must hold only \(Scope.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            scopes.insert(scope)
        }
        return scopes
    }
}
