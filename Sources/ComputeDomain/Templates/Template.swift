package import ComputeCore
import EventSourcing

/// The life of one template: what a group's creates can start from.
///
/// ```
///   absent ── create ──▶ present(1) ⟲ revise (2, 3, …)
///                            └── delete ──▶ deleted
/// ```
///
/// A revision is said whole and never changes. What a compute takes of one it takes when it is made, so nothing that
/// happens to a template later reaches a compute.
package enum Template: Aggregate {
    package typealias Event = TemplateEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes present.
        case absent
        /// Its newest revision. Becomes the next one, or deleted.
        case present(TemplateSpec, revision: Int64)
        /// Gone for good; its name may be another's by now.
        case deleted(TemplateSpec)
    }

    package enum Command: Hashable, Sendable {
        case create(TemplateSpec)
        /// - Parameter after: the revision that it was made from; nil: whichever there is.
        case revise(TemplateSpec, after: Int64?)
        case delete
    }

    package enum Rejection: Error, Hashable, Sendable {
        case absent
        case alreadyThere
        /// It is at that revision, which is not the one that the change was made from.
        case isAt(revision: Int64)
    }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [TemplateEvent] {
        switch (command, state) {
        case (.create(let spec), .absent): return [.created(spec)]
        case (.create, .present), (.create, .deleted): throw .alreadyThere

        case (.revise(let spec, let base), .present(let current, let revision)):
            // What is so already is no conflict: whoever repeats a change whose answer was lost has made it.
            if spec == current { return [] }
            if let base, base != revision { throw .isAt(revision: revision) }
            return [.revised(spec, revision: revision + 1)]

        case (.delete, .present): return [.deleted]

        case (.revise, .absent), (.revise, .deleted), (.delete, .absent), (.delete, .deleted): throw .absent
        }
    }

    /// Follows what was recorded. An event that fits no state (none is ever decided) changes nothing.
    package static func evolve(_ state: State, _ event: TemplateEvent) -> State {
        switch (event, state) {
        case (.created(let spec), .absent): .present(spec, revision: 1)
        case (.revised(let spec, let revision), .present): .present(spec, revision: revision)
        case (.deleted, .present(let spec, _)): .deleted(spec)
        case (.created, .present), (.created, .deleted), (.revised, .absent), (.revised, .deleted),
            (.deleted, .absent), (.deleted, .deleted):
            state
        }
    }

    /// One that is revised by a build has a long history.
    package static func condensed(_ state: State) -> [TemplateEvent]? {
        switch state {
        case .absent: []
        case .present(let spec, let revision):
            revision == 1 ? [.created(spec)] : [.created(spec), .revised(spec, revision: revision)]
        case .deleted(let spec): [.created(spec), .deleted]
        }
    }
}

/// What a template says.
package struct TemplateSpec: Hashable, Sendable {
    /// Unique among the group's.
    package var name: String
    package var description: String
    /// Fields of a create, spelled and measured as its body has them. Whoever uses them checks them once more, as
    /// part of that create.
    package var defaults: [String: JSONValue]

    package init(name: String, description: String = "", defaults: [String: JSONValue] = [:]) {
        self.name = name
        self.description = description
        self.defaults = defaults
    }
}
