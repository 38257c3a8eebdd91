package import ComputeCore
package import EventSourcing

/// The life of one name that a group keeps a secret under. What is kept is not here: values never enter an event.
///
/// ```
///   absent ── write ──▶ active(1) ── write ──▶ active(2) ── delete ──▶ deleted(2) ── write ──▶ active(3)
/// ```
///
/// A name that was deleted goes on counting, so that no two values ever had the same name and version: what was sealed
/// for the one does not open as the other.
package enum Secret: Aggregate {
    package typealias Event = SecretEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes active.
        case absent
        /// This version is the newest. Becomes active with the next one, or deleted.
        case active(version: Int64)
        /// Gone, with all versions up to this one. Becomes active with the next one.
        case deleted(version: Int64)
    }

    package enum Command: Hashable, Sendable {
        /// - Parameter isNew: refuses to replace what is there.
        case write(SecretName, isNew: Bool)
        case delete(SecretName)
    }

    package enum Rejection: Error, Hashable, Sendable { case absent, alreadyThere }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [SecretEvent] {
        switch (command, state) {
        case (.write(let name, _), .absent): return [.written(name, version: 1)]
        case (.write(let name, _), .deleted(let version)): return [.written(name, version: version + 1)]
        case (.write(_, isNew: true), .active): throw .alreadyThere
        case (.write(let name, isNew: false), .active(let version)): return [.written(name, version: version + 1)]
        case (.delete(let name), .active(let version)): return [.deleted(name, version: version)]
        case (.delete, .absent), (.delete, .deleted): throw .absent
        }
    }

    package static func evolve(_ state: State, _ event: SecretEvent) -> State {
        switch event {
        case .written(_, let version): .active(version: version)
        case .deleted(_, let version): .deleted(version: version)
        }
    }
}

extension StreamID {
    package static let secretCategory = "secret"

    /// Of the name and not of an id: it is what versions are counted under. With the group's length before it, so that
    /// no two pairs are spelled the same; without a slash, because ids of events stand in paths.
    package static func secret(_ name: SecretName, in group: GroupID) -> StreamID {
        StreamID(category: secretCategory, id: "\(group.rawValue.utf8.count):\(group):\(name)")
    }
}

extension CounterName {
    /// How many secrets the group has.
    package static func secrets(in group: GroupID) -> CounterName { CounterName(group: group, name: "secrets") }
}
