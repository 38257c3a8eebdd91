import APIContract
import ComputeCore
import ComputeRuntime

/// What this server can give a compute.
struct ServerOffer: Hashable, Sendable {
    var abilities: RuntimeAbilities
    /// The largest size; what is nil has no limit.
    var maximum: ComputeResources

    /// What is asked for and can never be had is refused before anything is recorded.
    /// - Throws: 400 naming the field.
    func check(_ request: CreateSandbox) throws(Problem) {
        for (field, isAsked, ability) in [
            ("image", request.image != nil, RuntimeAbilities.images),
            ("resources", request.resources != nil, .resources),
            ("filesystems", !request.filesystems.isEmpty, .filesystems), ("network", request.network != nil, .network),
        ] where isAsked && !abilities.contains(ability) {
            throw Problem(
                status: 400, code: .unsupportedField, message: "\(field) is not supported by this server's runtime",
                field: field)
        }
        guard let resources = request.resources else { return }
        if let cpus = resources.cpus, let limit = maximum.cpus, cpus > limit {
            throw .invalid("resources.cpus", "resources.cpus must be at most \(limit) on this server")
        }
        for (field, bytes, limit) in [
            ("memoryMiB", resources.memoryBytes, maximum.memoryBytes),
            ("diskMiB", resources.diskBytes, maximum.diskBytes),
        ] {
            guard let bytes, let limit, bytes > limit else { continue }
            throw .invalid("resources.\(field)", "resources.\(field) must be at most \(limit >> 20) on this server")
        }
    }
}

extension ServerOffer {
    init(_ ports: APIPorts, _ settings: APISettings) {
        self.init(abilities: ports.runtime.abilities, maximum: settings.maximumResources)
    }
}
