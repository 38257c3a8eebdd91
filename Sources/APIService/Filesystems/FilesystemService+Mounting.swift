import APIContract
import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import Logging

// What a compute mounts. Its attachments are appended by the commits that request and end it.
extension FilesystemService {
    /// What a create asks for, found.
    /// - Throws: 400 for what the group does not have.
    func mounted(_ request: CreateSandbox, in group: GroupID) async throws(Problem) -> [ComputeFilesystem] {
        var list: [ComputeFilesystem] = []
        for (index, wanted) in request.filesystems.enumerated() {
            let field = "filesystems[\(index)].\(wanted.reference.field)"
            let found = try await reading { () async throws(EventStoreError) -> FilesystemSummary? in
                switch wanted.reference {
                case .id(let id): try await ports.filesystems.filesystem(id, in: group)
                case .name(let name): try await ports.filesystems.filesystem(named: name, in: group)
                }
            }
            guard let found else { throw .invalid(field, "\(field): there is no such filesystem") }
            // One by its id, the other by its name.
            guard !list.contains(where: { $0.id == found.id }) else {
                throw .invalid(field, "\(field) names a filesystem that is mounted already")
            }
            if !found.wasAttached { try await finish(found) }
            list.append(
                ComputeFilesystem(
                    id: found.id, name: found.spec.name,
                    attachment: FilesystemAttachment(path: wanted.path, isReadOnly: wanted.isReadOnly)))
        }
        return list
    }

    /// Its making may have been cut off between record and volume. Only while nobody ever had it: a volume that is lost
    /// later must not come back empty in silence.
    private func finish(_ filesystem: FilesystemSummary) async throws(Problem) {
        do throws(RuntimeError) {
            try await ports.runtime.makeVolume(filesystem.id, sizeMiB: filesystem.spec.sizeMiB)
        } catch {
            logger.failure("a volume could not be made", error, ["filesystem": "\(filesystem.id)"])
            throw Problem(error)
        }
    }

    /// What the commit of its request appends. In one order everywhere, so that no two commits wait for each other.
    /// - Throws: 409 for one that others have in a way that excludes this one; 400 for one that is gone meanwhile.
    func attaching(
        _ compute: ComputeID, _ mounted: [ComputeFilesystem], _ request: CreateSandbox, in group: GroupID
    ) async throws(Problem) -> [StreamAppend] {
        var appends: [StreamAppend] = []
        for (index, filesystem) in mounted.enumerated().sorted(by: { $0.element.id < $1.element.id }) {
            let field = "filesystems[\(index)].\(request.filesystems[index].reference.field)"
            let loaded = try await loaded(filesystem.id)
            let events: [FilesystemEvent]
            do {
                events = try Filesystem.decide(.attach(compute, filesystem.attachment), loaded.state)
            } catch {
                switch error {
                case .absent: throw .invalid(field, "\(field): there is no such filesystem")
                case .beingWritten(let writer):
                    throw .filesystemBusy(field, "the sandbox \(writer) has it for writing")
                case .inUse(let count):
                    throw .filesystemBusy(field, "\(count) others read it, and a writer needs it alone")
                case .alreadyThere, .alreadyAttached: throw .internalError
                }
            }
            guard !events.isEmpty else { continue }
            appends.append(
                .filesystem(filesystem.id, in: group, expectedVersion: loaded.version, events: events))
        }
        return appends
    }

    /// What the commit of its end appends.
    func detaching(
        _ compute: ComputeID, _ mounted: [ComputeFilesystem], in group: GroupID
    ) async throws(Problem) -> [StreamAppend] {
        var appends: [StreamAppend] = []
        for filesystem in mounted.sorted(by: { $0.id < $1.id }) {
            let loaded = try await loaded(filesystem.id)
            let events: [FilesystemEvent]
            do { events = try Filesystem.decide(.detach(compute), loaded.state) } catch { continue }
            guard !events.isEmpty else { continue }
            appends.append(
                .filesystem(filesystem.id, in: group, expectedVersion: loaded.version, events: events))
        }
        return appends
    }

    private func loaded(_ id: FilesystemID) async throws(Problem) -> Loaded<Filesystem> {
        try await reading { () async throws(EventStoreError) in
            try await ports.store.load(Filesystem.self, .filesystem(id))
        }
    }
}

extension Problem {
    static func filesystemBusy(_ field: String, _ reason: String) -> Problem {
        Problem(status: 409, code: .conflict, message: "\(field) cannot be mounted now: \(reason)", field: field)
    }
}
