import ComputeCore
import FoundationEssentials
import LinuxSystem

/// The overlays in the state directory, so that a Sidekick that starts again over it finishes them, and servers find those that
/// they depend on.
struct OverlayStore: Sendable {
    private struct Stored: Codable {
        let id: String
        let request: JSONValue
        /// Absolute: the working directory of a child may be another.
        let targetPath: String
        let createdAt: WallTime
        let state: OverlayState
    }

    private static let maxBytes = 16 << 20

    private let path: String

    init(stateDirectory: String) { path = stateDirectory + "/overlays.json" }

    /// Blocking. What cannot be read is no reason to be of no use: it is logged, and left where it is until the next save.
    func load() -> [OverlayInfo] {
        do {
            let (_, bytes) = try FileTree.read(path, limit: Self.maxBytes)
            return try JSONDecoder().decode([Stored].self, from: Data(bytes)).map { stored in
                let request = try OverlayRequest(FieldReader(stored.request), directory: "/").into(stored.targetPath)
                var info = OverlayInfo(id: OverlayID(stored.id), request: request)
                info.createdAt = stored.createdAt
                info.state = stored.state.isOver ? stored.state : .pending
                return info
            }
        } catch let error as LinuxSystemError where error.code == .notFound {
            return []
        } catch {
            SidekickLog.write(.error, "the overlays of an earlier process could not be read", ["reason": "\(error)"])
            return []
        }
    }

    /// Blocking; returns when it is on the disk.
    func save(_ overlays: [OverlayInfo]) throws {
        let encoded = try JSONEncoder().encode(
            overlays.map {
                Stored(
                    id: $0.id.rawValue, request: $0.request.document, targetPath: $0.request.targetPath,
                    createdAt: $0.createdAt, state: $0.state)
            })
        do {
            try encoded.withUnsafeBytes { (bytes) throws -> Void in
                _ = try FileTree.write(path, bytes, newFileMode: 0o600)
            }
        } catch let error as LinuxSystemError {
            SidekickLog.write(.error, "the overlays could not be recorded", ["reason": "\(error)"])
            guard error.code.isDiskFull else {
                throw Problem(status: 500, code: .internalError, message: "the overlay could not be recorded")
            }
            throw Problem(status: 507, code: .diskFull, message: "the disk is full: the overlay was not recorded")
        }
    }
}
