import ComputeCore
import NIOHTTP1

/// `/env` (contract §1.11).
package struct EnvFileHandler: Sendable {
    private static let maxNames = 1000

    private let service: EnvFileService

    package init(service: EnvFileService) { self.service = service }

    package var routes: [SidekickRoute] {
        [
            SidekickRoute(.GET, "/env") { request in try await get(request) },
            SidekickRoute(.POST, "/env") { request in try await merge(request) },
            SidekickRoute(.DELETE, "/env") { request in try await remove(request) },
            SidekickRoute(.HEAD, "/env") { request in
                try await service.exists(try Self.file(request).path, as: request.compute.user)
                return .status(200)
            },
        ]
    }

    private func get(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let file = try Self.file(request)
        let variables = try await service.variables(file.path, as: request.compute.user)
        return .success(
            "environment file read",
            data: ["file": .string(file.name), "variables": .object(variables.mapValues(JSONValue.string))])
    }

    private func merge(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let file = try Self.file(request)
        guard let variables = try fields.strings("variables") else {
            throw Problem.invalid("variables", "variables is required")
        }
        guard variables.count <= Self.maxNames else {
            throw Problem.invalid("variables", "variables holds more than \(Self.maxNames) names")
        }
        for (name, value) in variables {
            try Self.check(name, "variables")
            guard !value.utf8.contains(0) else {
                throw Problem.invalid("variables.\(name)", "variables.\(name) must not contain a NUL")
            }
        }
        try await service.merge(variables, into: file.path, as: request.compute.user)
        return Self.keys("environment file written", file.name, variables.keys.sorted())
    }

    private func remove(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let file = try Self.file(request)
        guard let values = try fields.array("keys") else {
            throw Problem.invalid("keys", "keys is required")
        }
        guard values.count <= Self.maxNames else {
            throw Problem.invalid("keys", "keys holds more than \(Self.maxNames) names")
        }
        var names: [String] = []
        for value in values {
            guard case .string(let name) = value else {
                throw Problem.invalid("keys", "keys must be an array of strings")
            }
            names.append(name)
        }
        let removed = try await service.remove(names, from: file.path, as: request.compute.user)
        return Self.keys("environment file written", file.name, removed)
    }

    private static func check(_ name: String, _ field: String) throws(Problem) {
        guard DotEnv.isName(name) else {
            throw .invalid(field, "\(field) has the name \"\(name.prefix(64))\", which no environment file can hold")
        }
    }

    /// As it was asked for, and where it is.
    private static func file(_ request: SidekickRequest) throws(Problem) -> (name: String, path: FilePath) {
        let asked = try QueryReader(request.query).string("file") ?? ""
        let name = asked.isEmpty ? ".env" : asked
        do throws(Problem) {
            return (name, try FilePath(name, directory: request.compute.directory))
        } catch {
            throw .invalid("file", error.message)
        }
    }

    private static func keys(_ message: String, _ name: String, _ keys: [String]) -> SidekickAnswer {
        .success(message, data: ["file": .string(name), "keys": .array(keys.map(JSONValue.string))])
    }
}
