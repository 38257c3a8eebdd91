package import ComputeCore
import EventSourcing

/// The life of one pool: idle computes of a template that a group wants to have ready.
///
/// ```
///   absent ── create ──▶ present(1) ⟲ change (2, 3, …)
///                            └── delete ──▶ deleted
/// ```
///
/// It says what shall be. What is there is the runtime's to know, and no event.
package enum Pool: Aggregate {
    package typealias Event = PoolEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes present.
        case absent
        /// As it is now. Becomes its next revision, or deleted.
        case present(PoolSpec, revision: Int64)
        /// Gone for good; its name may be another's by now.
        case deleted(PoolSpec)
    }

    package enum Command: Hashable, Sendable {
        case create(PoolSpec)
        /// - Parameter after: the revision that it was made from; nil: whichever there is.
        case change(PoolChange, after: Int64?)
        case delete
    }

    package enum Rejection: Error, Hashable, Sendable {
        case absent
        case alreadyThere
        /// It is at that revision, which is not the one that the change was made from.
        case isAt(revision: Int64)
        /// What would come of the change has more at least than at most.
        case minimumAboveMaximum(PoolSpec)
        /// What would come of the change follows what is claimed, and was said not to, or the other way round.
        case otherwiseScaled(PoolSpec)
    }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [PoolEvent] {
        switch (command, state) {
        case (.create(let spec), .absent):
            guard spec.minimum <= spec.maximum else { throw .minimumAboveMaximum(spec) }
            return [.created(spec)]
        case (.create, .present), (.create, .deleted): throw .alreadyThere

        case (.change(let change, let base), .present(let current, let revision)):
            let next = change.applied(to: current)
            let isAsSaid = change.isScaled.map { $0 == next.isScaled } ?? true
            // What is so already is no conflict: whoever repeats a change whose answer was lost has made it.
            if next == current, isAsSaid { return [] }
            if let base, base != revision { throw .isAt(revision: revision) }
            guard next.minimum <= next.maximum else { throw .minimumAboveMaximum(next) }
            guard isAsSaid else { throw .otherwiseScaled(next) }
            return [.changed(next, revision: revision + 1)]

        case (.delete, .present): return [.deleted]

        case (.change, .absent), (.change, .deleted), (.delete, .absent), (.delete, .deleted): throw .absent
        }
    }

    /// Follows what was recorded. An event that fits no state (none is ever decided) changes nothing.
    package static func evolve(_ state: State, _ event: PoolEvent) -> State {
        switch (event, state) {
        case (.created(let spec), .absent): .present(spec, revision: 1)
        case (.changed(let spec, let revision), .present): .present(spec, revision: revision)
        case (.deleted, .present(let spec, _)): .deleted(spec)
        case (.created, .present), (.created, .deleted), (.changed, .absent), (.changed, .deleted),
            (.deleted, .absent), (.deleted, .deleted):
            state
        }
    }

    /// One that a schedule resizes has a long history.
    package static func condensed(_ state: State) -> [PoolEvent]? {
        switch state {
        case .absent: []
        case .present(let spec, let revision):
            revision == 1 ? [.created(spec)] : [.created(spec), .changed(spec, revision: revision)]
        case .deleted(let spec): [.created(spec), .deleted]
        }
    }
}

/// What a pool is to be.
package struct PoolSpec: Hashable, Sendable {
    /// Unique among the group's.
    package var name: String
    package var template: TemplateID
    /// nil: whichever is the newest.
    package var templateRevision: Int64?
    /// How many wait at least. Where it equals `maximum`, always as many.
    package var minimum: Int64
    /// How many may wait. Counts against the group's quota, whether they do or not.
    package var maximum: Int64

    package init(
        name: String, template: TemplateID, templateRevision: Int64? = nil, minimum: Int64, maximum: Int64
    ) {
        self.name = name
        self.template = template
        self.templateRevision = templateRevision
        self.minimum = minimum
        self.maximum = maximum
    }

    /// Whether it follows what is claimed.
    package var isScaled: Bool { minimum < maximum }
}

/// What is to be different; the rest stays.
package struct PoolChange: Hashable, Sendable {
    package var name: String?
    /// With `templateRevision` as when a pool is made: the newest, when that is nil.
    package var template: TemplateID?
    /// Alone: of the template that it has.
    package var templateRevision: Int64?
    package var minimum: Int64?
    package var maximum: Int64?
    /// Changes nothing: whether what comes of it is scaled.
    package var isScaled: Bool?

    package init(
        name: String? = nil, template: TemplateID? = nil, templateRevision: Int64? = nil, minimum: Int64? = nil,
        maximum: Int64? = nil, isScaled: Bool? = nil
    ) {
        self.name = name
        self.template = template
        self.templateRevision = templateRevision
        self.minimum = minimum
        self.maximum = maximum
        self.isScaled = isScaled
    }

    func applied(to spec: PoolSpec) -> PoolSpec {
        var next = spec
        if let name { next.name = name }
        if let template { (next.template, next.templateRevision) = (template, templateRevision) }
        if let templateRevision { next.templateRevision = templateRevision }
        if let minimum { next.minimum = minimum }
        if let maximum { next.maximum = maximum }
        return next
    }
}
