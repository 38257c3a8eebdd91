package import ComputeCore

/// The checked body of `POST /v1/pools`.
package struct CreatePool: Hashable, Sendable {
    package var name: String
    package var template: TemplateUse
    package var minimum: Int64
    package var maximum: Int64

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        name = try fields.requiredString("name")
        try SandboxName.check("name", name)
        template = TemplateUse(
            template: try fields.requiredString("templateId"), revision: try fields.templateRevision())
        let size = try PoolSize(fields)
        guard let maximum = size.maximum else {
            throw size.minimum == nil
                ? .invalid("size", "size is required, or max and min") : .invalid("max", "max is required beside min")
        }
        self.maximum = maximum
        minimum = size.minimum ?? 0
        guard minimum <= maximum else { throw .minimumAboveMaximum(field: "min", minimum, maximum) }
        if let isScaled = size.isScaled, isScaled != (minimum < maximum) {
            throw .otherwiseScaled(isScaled: minimum < maximum)
        }
    }
}

/// The checked body of `PATCH /v1/pools/{pool}`. What is absent stays as it is.
package struct ChangePool: Hashable, Sendable {
    package var name: String?
    /// An id, or else a name. It comes with its revision, which is the newest where none is said.
    package var template: String?
    /// Alone: of the template that the pool has.
    package var templateRevision: Int64?
    package var minimum: Int64?
    package var maximum: Int64?
    /// Whether what comes of it has them differ.
    package var isScaled: Bool?
    /// The revision that it was made from.
    package var revision: Int64?

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        name = try fields.string("name")
        if let name { try SandboxName.check("name", name) }
        template = try fields.string("templateId")
        templateRevision = try fields.templateRevision()
        let size = try PoolSize(fields)
        (minimum, maximum, isScaled) = (size.minimum, size.maximum, size.isScaled)
        if let minimum, let maximum, minimum > maximum {
            throw .minimumAboveMaximum(field: "min", minimum, maximum)
        }
        revision = try fields.integer("revision", in: 1...Int64.max)
    }
}

/// How many members: `size`, or `min` and `max`.
package struct PoolSize: Hashable, Sendable {
    /// As many as one machine could hold idle; the usual quota of a group is far below.
    package static let range: ClosedRange<Int64> = 0...1000

    var minimum: Int64?
    var maximum: Int64?
    /// `autoscale`. It changes nothing: it has to be so by what else is said, and what was there before.
    var isScaled: Bool?

    init(_ fields: FieldReader) throws(Problem) {
        let size = try fields.integer("size", in: Self.range)
        minimum = try fields.integer("min", in: Self.range)
        maximum = try fields.integer("max", in: Self.range)
        let isRange = minimum != nil || maximum != nil
        if let size {
            guard !isRange else { throw .invalid("size", "size says both min and max; say either it or them") }
            (minimum, maximum) = (size, size)
        }
        isScaled = try fields.bool("autoscale")
        guard let autoscale = isScaled else { return }
        if autoscale, size != nil {
            throw .invalid("autoscale", "autoscale needs min and max instead of size")
        }
        if !autoscale, isRange {
            throw .invalid("autoscale", "without autoscale a pool has a size instead of min and max")
        }
    }
}

extension FieldReader {
    fileprivate func templateRevision() throws(Problem) -> Int64? {
        try integer("templateRevision", in: 1...Int64.max)
    }
}

extension Problem {
    /// - Parameter isScaled: whether it would be.
    package static func otherwiseScaled(isScaled: Bool) -> Problem {
        isScaled
            ? .invalid("autoscale", "autoscale: what comes of this has min below max; say a size instead")
            : .invalid("autoscale", "autoscale: what comes of this always keeps as many; say min below max")
    }

    /// - Parameter field: the one of the two that the body has.
    package static func minimumAboveMaximum(field: String, _ minimum: Int64, _ maximum: Int64) -> Problem {
        .invalid(field, "min (\(minimum)) must not be above max (\(maximum))")
    }
}

/// A pool in answers.
package struct PoolView: Codable, Hashable, Sendable {
    package struct Status: Codable, Hashable, Sendable {
        package enum Health: String, Codable, Hashable, Sendable, CaseIterable {
            case healthy
            /// This instance does not know yet: no member was there, and none failed.
            case starting
            /// Members do not start. It goes on trying.
            case failing
            /// There is nothing to make members of, or this server cannot. `reason` says what.
            case blocked
        }

        /// How many shall wait now.
        package var target: Int
        package var idle: Int
        package var starting: Int
        package var health: Health
        package var reason: String?

        package init(
            target: Int = 0, idle: Int = 0, starting: Int = 0, health: Health = .healthy, reason: String? = nil
        ) {
            self.target = target
            self.idle = idle
            self.starting = starting
            self.health = health
            self.reason = reason
        }
    }

    private var poolId: String
    private var name: String
    private var templateId: String
    private var templateRevision: Int64?
    /// This, or `min` and `max`.
    private var size: Int64?
    private var min: Int64?
    private var max: Int64?
    private var autoscale: Bool
    private var revision: Int64
    private var createdAt: String
    private var updatedAt: String
    private var status: Status

    /// - Parameter templateRevision: nil: the newest.
    package init(
        id: PoolID, name: String, template: TemplateID, templateRevision: Int64?, minimum: Int64, maximum: Int64,
        revision: Int64, createdAt: WallTime, updatedAt: WallTime, status: Status
    ) {
        poolId = id.rawValue
        self.name = name
        templateId = template.rawValue
        self.templateRevision = templateRevision
        autoscale = minimum < maximum
        (size, min, max) = autoscale ? (nil, minimum, maximum) : (maximum, nil, nil)
        self.revision = revision
        self.createdAt = createdAt.rfc3339
        self.updatedAt = updatedAt.rfc3339
        self.status = status
    }
}
