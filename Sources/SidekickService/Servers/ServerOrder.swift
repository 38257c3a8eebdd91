package import ComputeCore

/// What `POST /servers` asks for.
package struct ServerOrder: Sendable {
    package private(set) var definition: ServerDefinition
    /// Made first; the server waits for them.
    package let overlays: [OverlayRequest]
    /// Where these stand in what was asked.
    let fields: (slug: String, dependsOn: String)

    /// - Throws: a 400 that names the field.
    package init(_ fields: FieldReader, directory: String) throws(Problem) {
        definition = try ServerDefinition.read(fields, directory: directory)
        self.fields = (fields.path("slug"), fields.path("depends_on"))
        var overlays: [OverlayRequest] = []
        // One in `overlay`, any number in `overlays`.
        if let overlay = try fields.object("overlay") {
            overlays.append(
                try OverlayRequest(FieldReader(overlay, prefix: fields.path("overlay")), directory: directory))
        }
        // As many as a server may depend on.
        for overlay in try fields.objects("overlays", atMost: 32) {
            overlays.append(try OverlayRequest(overlay, directory: directory))
        }
        self.overlays = overlays
    }

    func waiting(for overlays: [OverlayID]) -> ServerOrder {
        var order = self
        order.definition.dependsOn += overlays.map(\.rawValue)
        return order
    }
}
