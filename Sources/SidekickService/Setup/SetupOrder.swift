package import ComputeCore
import FoundationEssentials

/// What is done once a compute has been claimed: `{"overlays":[…],"servers":[…]}` (contract §1.13).
package struct SetupOrder: Sendable {
    static let maxOfEach = 32

    package var overlays: [OverlayRequest] = []
    /// Each as in `POST /servers`, and read by whoever starts servers.
    package var servers: [[String: JSONValue]] = []

    /// - Throws: a 400 naming the field below `field`.
    package init(_ document: JSONValue, directory: String, field: String = "setup") throws(Problem) {
        guard case .object(let members) = document else {
            throw .invalid(field, "\(field) must be an object, not \(document.typeName)")
        }
        try self.init(FieldReader(members, prefix: field), directory: directory)
    }

    /// - Parameter fields: those of the order, or of a body that has more in it.
    package init(_ fields: FieldReader, directory: String) throws(Problem) {
        for (path, members) in try Self.objects("overlays", fields) {
            overlays.append(try OverlayRequest(FieldReader(members, prefix: path), directory: directory))
        }
        servers = try Self.objects("servers", fields).map(\.members)
    }

    /// What `COMPUTESDK_SETUP_B64` holds.
    package init(base64 text: String, directory: String) throws(Problem) {
        let name = SetupService.variable
        guard let bytes = Data(base64Encoded: text) else { throw .invalid(name, "\(name) is not valid base64") }
        do throws(Problem) {
            try self.init(try JSONDocument.parse(Array(bytes)), directory: directory, field: name)
        } catch {
            throw .invalid(error.field ?? name, "\(name): \(error.message)")
        }
    }

    private static func objects(
        _ name: String, _ fields: FieldReader
    ) throws(Problem) -> [(path: String, members: [String: JSONValue])] {
        let values = try fields.array(name) ?? []
        guard values.count <= maxOfEach else {
            throw .invalid(fields.path(name), "\(fields.path(name)) holds more than \(maxOfEach)")
        }
        var objects: [(path: String, members: [String: JSONValue])] = []
        for (index, value) in values.enumerated() {
            let path = "\(fields.path(name))[\(index)]"
            guard case .object(let members) = value else {
                throw .invalid(path, "\(path) must be an object, not \(value.typeName)")
            }
            objects.append((path, members))
        }
        return objects
    }
}
