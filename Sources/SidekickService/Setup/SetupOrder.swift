package import ComputeCore
import FoundationEssentials

/// What is done once a compute has been claimed: `{"overlays":[…],"servers":[…]}` (contract §1.13).
package struct SetupOrder: Sendable {
    static let maxOfEach = 32

    package var overlays: [OverlayRequest] = []
    package var servers: [ServerOrder] = []

    /// - Throws: a 400 naming the field. Whoever created the compute wrote `overlays` and `servers`, and knows no `setup`
    ///   above them.
    package init(_ document: JSONValue, directory: String, field: String = "setup") throws(Problem) {
        guard case .object(let members) = document else {
            throw .invalid(field, "\(field) must be an object, not \(document.typeName)")
        }
        try self.init(FieldReader(members), directory: directory)
    }

    /// - Parameter fields: those of the order, or of a body that has more in it.
    package init(_ fields: FieldReader, directory: String) throws(Problem) {
        for overlay in try fields.objects("overlays", atMost: Self.maxOfEach) {
            overlays.append(try OverlayRequest(overlay, directory: directory))
        }
        for server in try fields.objects("servers", atMost: Self.maxOfEach) {
            servers.append(try ServerOrder(server, directory: directory))
        }
        servers = DependencyGraph.inOrder(servers, name: \.definition.slug, needs: \.definition.dependsOn)
    }

    /// That each server can be made where there is nothing else yet.
    /// - Throws: a 400 that names the field.
    func checkAlone() throws(Problem) {
        var needs: [String: [String]] = [:]
        for server in servers {
            let slug = server.definition.slug
            let earlier = needs.updateValue(server.definition.dependsOn, forKey: slug)
            let field = server.fields.slug
            guard earlier == nil else { throw .invalid(field, "\(field): there are two servers \(slug)") }
        }
        for server in servers {
            let slug = server.definition.slug
            let field = server.fields.dependsOn
            func refuse(_ reason: String) -> Problem { .invalid(field, "\(field) \(reason)") }
            if let unknown = server.definition.dependsOn.first(where: { needs[$0] == nil }) {
                throw refuse("names \(unknown), which is none of them")
            }
            if let cycle = DependencyGraph.cycle(from: slug, needs) {
                throw refuse("goes in a circle: \(cycle.joined(separator: " → "))")
            }
        }
    }

    /// What `COMPUTESDK_SETUP_B64` holds.
    package init(base64 text: String, directory: String) throws(Problem) {
        let name = SetupService.variable
        guard let bytes = Data(base64Encoded: text) else { throw .invalid(name, "\(name) is not valid base64") }
        do throws(Problem) {
            try self.init(try JSONDocument.parse(Array(bytes)), directory: directory, field: name)
        } catch {
            throw .invalid(name, "\(name): \(error.message)")
        }
    }
}
