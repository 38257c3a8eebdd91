package import ComputeCore
import EventSourcing

/// The life of a webhook.
///
/// ```
///   absent ── create ──▶ present ⟲ change, rotate, disable
///                           └── delete ──▶ deleted
/// ```
package enum Webhook: Aggregate {
    package typealias Event = WebhookEvent

    package enum State: Hashable, Sendable {
        case absent
        /// Told of events while its spec says that it is active.
        case present(WebhookSpec, secretVersion: Int)
        /// Over for good.
        case deleted
    }

    package enum Command: Hashable, Sendable {
        case create(WebhookSpec)
        /// - isMoved: whether the URL is another one, which the spec may not show.
        case change(WebhookSpec, isMoved: Bool)
        case rotate(previousUntil: WallTime)
        case disable(WebhookDisableReason)
        case delete
    }

    package enum Rejection: Error, Hashable, Sendable { case absent, alreadyCreated }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [WebhookEvent] {
        switch (command, state) {
        case (.create(let spec), .absent): return [.created(spec)]
        case (.create, .present), (.create, .deleted): throw .alreadyCreated
        case (.change(let spec, let isMoved), .present(let current, _)):
            return spec == current && !isMoved ? [] : [.changed(spec)]
        case (.rotate(let until), .present(_, let version)):
            return [.secretRotated(version: version + 1, previousUntil: until)]
        case (.disable(let reason), .present(let spec, _)): return spec.isActive ? [.disabled(reason)] : []
        case (.delete, .present): return [.deleted]
        case (.change, .absent), (.change, .deleted), (.rotate, .absent), (.rotate, .deleted), (.disable, .absent),
            (.disable, .deleted), (.delete, .absent), (.delete, .deleted):
            throw .absent
        }
    }

    package static func evolve(_ state: State, _ event: WebhookEvent) -> State {
        switch (event, state) {
        case (.created(let spec), .absent): return .present(spec, secretVersion: 1)
        case (.changed(let spec), .present(_, let version)): return .present(spec, secretVersion: version)
        case (.secretRotated(let version, _), .present(let spec, _)): return .present(spec, secretVersion: version)
        case (.disabled, .present(var spec, let version)):
            spec.isActive = false
            return .present(spec, secretVersion: version)
        case (.deleted, .present): return .deleted
        case (.created, .present), (.created, .deleted), (.changed, .absent), (.changed, .deleted),
            (.secretRotated, .absent), (.secretRotated, .deleted), (.disabled, .absent), (.disabled, .deleted),
            (.deleted, .absent), (.deleted, .deleted):
            return state
        }
    }

    /// Whoever keeps changing it makes its history long.
    package static func condensed(_ state: State) -> [WebhookEvent]? {
        switch state {
        case .absent: []
        case .present(let spec, let version):
            // Until when the secret before signs is of no consequence to the state.
            [.created(spec)]
                + (version == 1
                    ? [] : [.secretRotated(version: version, previousUntil: WallTime(milliseconds: 0))])
        case .deleted: [.created(WebhookSpec(origin: "")), .deleted]
        }
    }
}
