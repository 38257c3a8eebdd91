package import ComputeCore
import EventSourcing

/// The life of one filesystem: a disk of a group that computes mount and that outlives them.
///
/// ```
///   absent ── create ──▶ present ⟲ attach, detach      one writer, or many readers
///                           └── delete (nothing attached) ──▶ deleted
/// ```
///
/// A compute is attached in the commit that requests it and detached in the one that ends it, so the log never has a
/// compute without its filesystems, nor a filesystem in use by a compute that is over. That the place of a compute which
/// just ended has let go of the disk is the runtime's to see to: it may take a moment longer.
package enum Filesystem: Aggregate {
    package typealias Event = FilesystemEvent

    package enum State: Hashable, Sendable {
        /// Nothing was ever recorded. Becomes present.
        case absent
        /// It can be attached. Becomes deleted while nothing is.
        case present(FilesystemSpec, [ComputeID: FilesystemAttachment])
        /// Gone for good; its name may be another's by now.
        case deleted(FilesystemSpec)
    }

    package enum Command: Hashable, Sendable {
        case create(FilesystemSpec)
        case attach(ComputeID, FilesystemAttachment)
        case detach(ComputeID)
        case delete
    }

    package enum Rejection: Error, Hashable, Sendable {
        case absent
        case alreadyThere
        /// That compute has it already, otherwise.
        case alreadyAttached
        /// By so many: too many for another writer, or for a deletion.
        case inUse(Int)
        /// Nobody else comes beside a writer.
        case beingWritten(by: ComputeID)
    }

    package static let initial = State.absent

    package static func decide(_ command: Command, _ state: State) throws(Rejection) -> [FilesystemEvent] {
        switch (command, state) {
        case (.create(let spec), .absent): return [.created(spec)]
        case (.create, .present), (.create, .deleted): throw .alreadyThere

        case (.attach(let compute, let attachment), .present(_, let attachments)):
            if let there = attachments[compute] {
                guard there == attachment else { throw .alreadyAttached }
                return []
            }
            if let writer = attachments.first(where: { !$0.value.isReadOnly })?.key { throw .beingWritten(by: writer) }
            guard attachment.isReadOnly || attachments.isEmpty else { throw .inUse(attachments.count) }
            return [.attached(compute, attachment)]
        case (.attach, .absent), (.attach, .deleted): throw .absent

        case (.detach(let compute), .present(_, let attachments)):
            return attachments[compute] == nil ? [] : [.detached(compute)]
        case (.detach, .absent), (.detach, .deleted): return []

        case (.delete, .present(_, let attachments)):
            guard attachments.isEmpty else { throw .inUse(attachments.count) }
            return [.deleted]
        case (.delete, .absent), (.delete, .deleted): throw .absent
        }
    }

    /// Follows what was recorded. An event that fits no state (none is ever decided) changes nothing.
    package static func evolve(_ state: State, _ event: FilesystemEvent) -> State {
        switch (event, state) {
        case (.created(let spec), .absent): return .present(spec, [:])
        case (.attached(let compute, let attachment), .present(let spec, var attachments)):
            attachments[compute] = attachment
            return .present(spec, attachments)
        case (.detached(let compute), .present(let spec, var attachments)):
            attachments[compute] = nil
            return .present(spec, attachments)
        case (.deleted, .present(let spec, _)): return .deleted(spec)
        case (.created, .present), (.created, .deleted), (.attached, .absent), (.attached, .deleted),
            (.detached, .absent), (.detached, .deleted), (.deleted, .absent), (.deleted, .deleted):
            return state
        }
    }

    /// One that serves many computes in turn has a long history.
    package static func condensed(_ state: State) -> [FilesystemEvent]? {
        switch state {
        case .absent: return []
        case .present(let spec, let attachments):
            let attached = attachments.sorted { $0.key < $1.key }.map { FilesystemEvent.attached($0.key, $0.value) }
            return [.created(spec)] + attached
        case .deleted(let spec): return [.created(spec), .deleted]
        }
    }
}

/// What was asked for.
package struct FilesystemSpec: Hashable, Sendable {
    /// Unique among the group's.
    package var name: String
    package var sizeMiB: Int64

    package init(name: String, sizeMiB: Int64) {
        self.name = name
        self.sizeMiB = sizeMiB
    }
}

/// How one compute has it.
package struct FilesystemAttachment: Hashable, Sendable {
    /// Where, inside.
    package var path: String
    package var isReadOnly: Bool

    package init(path: String, isReadOnly: Bool) {
        self.path = path
        self.isReadOnly = isReadOnly
    }
}

/// A filesystem as a compute's own events tell of it.
package struct ComputeFilesystem: Hashable, Sendable {
    package var id: FilesystemID
    /// As it was called then.
    package var name: String
    package var attachment: FilesystemAttachment

    package init(id: FilesystemID, name: String, attachment: FilesystemAttachment) {
        self.id = id
        self.name = name
        self.attachment = attachment
    }
}
