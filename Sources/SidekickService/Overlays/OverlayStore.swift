import ComputeCore

/// The overlays in the state directory: a Sidekick that starts again finishes them, and servers find those that they depend on.
/// Blocking.
struct OverlayStore: Sendable {
    private struct Stored: Codable {
        let id: String
        let request: JSONValue
        /// Absolute: the working directory of a child may be another.
        let targetPath: String
        let createdAt: WallTime
        let state: OverlayState

        init(_ info: OverlayInfo) {
            id = info.id.rawValue
            request = info.request.document
            targetPath = info.request.targetPath
            createdAt = info.createdAt
            state = info.state
        }

        func info() throws -> OverlayInfo {
            let request = try OverlayRequest(FieldReader(request), directory: "/").into(targetPath)
            var info = OverlayInfo(id: OverlayID(id), request: request)
            info.createdAt = createdAt
            info.state = state.isOver ? state : .pending
            return info
        }
    }

    private let file: StateFile<[Stored]>

    init(stateDirectory: String) {
        file = StateFile(stateDirectory + "/overlays.json", of: "the overlay", maxBytes: 16 << 20)
    }

    func load() -> [OverlayInfo] { file.load { try $0.map { try $0.info() } } ?? [] }

    func save(_ overlays: [OverlayInfo]) throws { try file.save(overlays.map(Stored.init)) }
}
