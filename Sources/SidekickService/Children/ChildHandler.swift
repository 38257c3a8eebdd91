import ComputeCore
import NIOHTTP1

/// `/sandboxes` (contract §1.12): documents without an envelope. Whichever child a request comes for, these are the whole
/// compute's.
package struct ChildHandler: Sendable {
    private let service: ChildService
    private let setup: SetupService
    private let deleteServers: @Sendable (_ directory: String) async throws -> Void
    private let main: @Sendable () -> ComputeContext?

    /// - Parameter deleteServers: ends and forgets all that work in a directory or below it.
    package init(
        service: ChildService, setup: SetupService, deleteServers: @escaping @Sendable (String) async throws -> Void,
        main: @escaping @Sendable () -> ComputeContext?
    ) {
        self.service = service
        self.setup = setup
        self.deleteServers = deleteServers
        self.main = main
    }

    package var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/sandboxes") { request in try await create(request) },
            SidekickRoute(.GET, "/sandboxes") { _ in
                let compute = try mainCompute()
                let children = service.list().map { JSONValue.object(Self.document($0, of: compute)) }
                return .json(
                    status: 200, .object(["sandboxes": .array([.object(document(main: compute))] + children)]))
            },
            SidekickRoute(.GET, "/sandboxes/{subdomain}") { request in
                let compute = try mainCompute()
                guard let name = try Self.name(request.parameters[0], of: compute) else {
                    return .json(status: 200, .object(document(main: compute)))
                }
                return .json(status: 200, .object(Self.document(try service.get(name), of: compute)))
            },
            SidekickRoute(.DELETE, "/sandboxes/{subdomain}") { request in try await delete(request) },
        ]
    }

    private func create(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let compute = try mainCompute()
        let fields = try await request.fields()
        let name = try Self.newName(fields)
        let directory = try Self.directory(try fields.string("directory"), name, of: compute)
        let child = compute.child(name, in: directory)
        let order = try SetupOrder(fields, directory: directory)
        let made = try await service.create(name, in: directory, of: compute)
        let outcome = await setup.perform(order, in: child)
        var document = Self.document(made, of: compute)
        if !order.overlays.isEmpty {
            document["overlays"] = .array(outcome.overlays.map { .object(OverlayHandler.document($0)) })
        }
        if !order.servers.isEmpty { document["servers"] = .array(outcome.servers) }
        // The child is there; what did not become of it is said beside it.
        if !outcome.errors.isEmpty { document["errors"] = .array(outcome.errors.map(JSONValue.string)) }
        return .json(status: 201, .object(document))
    }

    private func delete(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let compute = try mainCompute()
        guard let name = try Self.name(request.parameters[0], of: compute) else {
            throw Problem(
                status: 400, code: .invalidRequest, message: "the main sandbox cannot be deleted", field: "subdomain")
        }
        let deletesFiles = try QueryReader(request.query).bool("delete_files") ?? false
        // First, so that none of them writes into what is being removed.
        if deletesFiles { try await deleteServers(try service.get(name).directory) }
        try await service.delete(name, of: compute, deletesFiles: deletesFiles)
        return .noContent
    }

    private func mainCompute() throws(Problem) -> ComputeContext {
        guard let compute = main() else { throw .unavailable("this member has not been claimed yet") }
        return compute
    }

    // MARK: Reading

    /// What stands in a path: the child's name, or what stands in host names.
    /// - Returns: nil: the compute itself.
    private static func name(_ text: String, of compute: ComputeContext) throws(Problem) -> ChildName? {
        let id = compute.computeID.rawValue
        if text == id { return nil }
        guard let name = ChildName(text.hasPrefix(id + "-") ? text.dropFirst(id.utf8.count + 1) : text[...]) else {
            throw .notFound("there is no such child")
        }
        return name
    }

    private static func newName(_ fields: FieldReader) throws(Problem) -> ChildName {
        guard let text = try fields.string("name") else {
            // Its first character is a letter.
            guard let name = ChildName("c" + String.randomLabel(length: 7)) else {
                throw .unavailable("no name could be found")
            }
            return name
        }
        guard let name = ChildName(text) else {
            throw .invalid("name", "name must be a lower-case letter, and then at most 29 letters and digits")
        }
        return name
    }

    /// Below the compute's own, and not that itself: deleting a child must not delete everything.
    private static func directory(
        _ asked: String?, _ name: ChildName, of compute: ComputeContext
    ) throws(Problem) -> String {
        let path: String
        do throws(Problem) {
            path = try FilePath(asked ?? name.rawValue, directory: compute.directory).absolute
        } catch {
            throw .invalid("directory", error.message)
        }
        guard path.hasPrefix(compute.directory == "/" ? "/" : compute.directory + "/"), path != "/" else {
            throw .invalid("directory", "directory must be below \(compute.directory)")
        }
        return path
    }

    // MARK: Writing

    private func document(main compute: ComputeContext) -> [String: JSONValue] {
        var document: [String: JSONValue] = [
            "subdomain": .string(compute.computeID.rawValue), "directory": .string(compute.directory),
            "is_main": .bool(true), "url": .string(compute.url),
        ]
        if let time = service.mainCreatedAt { document["created_at"] = .string(time.rfc3339) }
        return document
    }

    private static func document(_ child: ChildService.Child, of compute: ComputeContext) -> [String: JSONValue] {
        var document: [String: JSONValue] = [
            "name": .string(child.name), "directory": .string(child.directory), "is_main": .bool(false),
            "created_at": .string(WallTime(milliseconds: child.createdAt).rfc3339),
        ]
        if let name = ChildName(child.name) {
            document["subdomain"] = .string(name.subdomain(of: compute))
            document["url"] = .string(name.url(of: compute))
        }
        return document
    }
}
