package import ComputeCore
import LinuxSystem
import Synchronization

/// Child directories: each a working directory with a host name of its own (contract §1.12). They are remembered in the
/// state directory.
package final class ChildService: Sendable {
    package static let maxChildren = 64
    /// Which child a request comes for.
    package static let header = "X-Compute-Child"

    package struct Child: Codable, Hashable, Sendable {
        package let name: String
        /// Absolute.
        package let directory: String
        /// Milliseconds since 1970.
        package let createdAt: Int64
    }

    private let file: StateFile<[Child]>
    private let claimFile: String
    private let threads: UserThreads
    private let broker: EventBroker
    private let children: Mutex<[ChildName: Child]>
    /// One change at a time, so that the file is never older than what was answered.
    private let turns = Turns()

    /// Finds those of an earlier process over the same directory.
    package init(stateDirectory: String, threads: UserThreads, broker: EventBroker) throws {
        file = StateFile(stateDirectory + "/children.json", of: "the child", maxBytes: 1 << 20)
        claimFile = stateDirectory + "/claim.json"
        self.threads = threads
        self.broker = broker
        let named = try (file.read() ?? []).compactMap { child in ChildName(child.name).map { ($0, child) } }
        children = Mutex(Dictionary(named) { first, _ in first })
    }

    /// When the compute itself was claimed.
    package var mainCreatedAt: WallTime? {
        (try? FileTree.status(claimFile)).map { WallTime(milliseconds: $0.modifiedAt) }
    }

    package var count: Int { children.withLock { $0.count } }

    package func list() -> [Child] { children.withLock { $0.values.sorted { $0.name < $1.name } } }

    package func get(_ name: ChildName) throws(Problem) -> Child {
        guard let child = children.withLock({ $0[name] }) else { throw .notFound("there is no child \(name)") }
        return child
    }

    /// Makes the directory as the user, where it is not there.
    /// - Parameter directory: absolute, below the compute's.
    package func create(_ name: ChildName, in directory: String, of compute: ComputeContext) async throws -> Child {
        try await turns.take()
        defer { turns.giveBack() }
        var all = children.withLock { $0 }
        guard all[name] == nil else {
            throw Problem(status: 409, code: .conflict, message: "there is a child \(name) already", field: "name")
        }
        guard all.count < Self.maxChildren else {
            throw Problem.overQuota("\(Self.maxChildren) children are there already; delete one")
        }
        try await onFiles(of: compute, directory) { () throws(LinuxSystemError) in
            try FileTree.makeDirectories(directory)
            guard try FileTree.status(directory).isDirectory else {
                throw LinuxSystemError(.notDirectory, "mkdir", directory)
            }
        }
        let child = Child(
            name: name.rawValue, directory: directory, createdAt: SystemWallClock().now().milliseconds)
        all[name] = child
        try await save(all)
        broker.publish(
            SocketEvent(
                "sandbox.created",
                ["subdomain": .string(name.subdomain(of: compute)), "url": .string(name.url(of: compute))]),
            to: .everyone)
        return child
    }

    /// - Parameter deletesFiles: its directory goes too, as far as the user may remove it.
    package func delete(_ name: ChildName, of compute: ComputeContext, deletesFiles: Bool) async throws {
        try await turns.take()
        defer { turns.giveBack() }
        let child = try get(name)
        if deletesFiles {
            try await onFiles(of: compute, child.directory) { () throws(LinuxSystemError) in
                do throws(LinuxSystemError) {
                    try FileTree.remove(child.directory)
                } catch  where error.code == .notFound {
                    return
                }
            }
        }
        var all = children.withLock { $0 }
        all[name] = nil
        try await save(all)
        broker.publish(
            SocketEvent("sandbox.deleted", ["subdomain": .string(name.subdomain(of: compute))]), to: .everyone)
    }

    /// The compute as a request sees it that comes for a child.
    /// - Parameter header: what the Gateway says; nil: it comes for the compute itself.
    package func context(_ header: String?, of compute: ComputeContext) throws(Problem) -> ComputeContext {
        guard let header else { return compute }
        guard let name = ChildName(header) else { throw .notFound("there is no such child") }
        return compute.child(name, in: try get(name).directory)
    }

    // MARK: Files

    private func onFiles(
        of compute: ComputeContext, _ path: String, _ work: @escaping @Sendable () throws(LinuxSystemError) -> Void
    ) async throws {
        do {
            try await threads.run(as: compute.user) { try work() }
        } catch let error as LinuxSystemError {
            var problem = FileService.problem(error, path)
            problem.field = "directory"
            throw problem
        }
    }

    /// As ourselves: it is ours. Nobody is told of what is not on the disk.
    private func save(_ all: [ChildName: Child]) async throws {
        let list = all.values.sorted { $0.name < $1.name }
        try await threads.run(as: nil) { [file] in try file.save(list) }
        children.withLock { $0 = all }
    }
}
