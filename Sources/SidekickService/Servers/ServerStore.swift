package import ComputeCore

/// The definitions of servers in the state directory. Blocking.
package struct ServerStore: Sendable {
    package struct Stored: Codable, Sendable {
        package var definition: ServerDefinition
        package var isInstalled: Bool
        package var createdAt: WallTime

        package init(definition: ServerDefinition, isInstalled: Bool, createdAt: WallTime) {
            self.definition = definition
            self.isInstalled = isInstalled
            self.createdAt = createdAt
        }
    }

    /// Of all definitions together.
    package static let maxBytes = 64 << 20

    private let file: StateFile<[Stored]>

    package init(stateDirectory: String, maxBytes: Int = Self.maxBytes) {
        file = StateFile(stateDirectory + "/servers.json", of: "the server", maxBytes: maxBytes)
    }

    package func load() -> [Stored] { file.load { $0 } ?? [] }

    package func save(_ servers: [Stored]) throws { try file.save(servers) }
}
