import APIContract
import ComputeCore
import ComputeDomain
import ComputeRuntime

/// What the members of a pool are to be, or why it can have none: a pure function of what its template says.
enum PoolPlan: Hashable, Sendable {
    case members(MemberOrder)
    case none(reason: String)

    /// - Parameter template: nil: gone, or that revision of it.
    init(_ template: PoolSupply.Template?, _ ports: APIPorts, _ settings: APISettings) {
        guard let template else {
            self = .none(reason: "the template, or the revision of it, is not there any more")
            return
        }
        do throws(Problem) {
            self = .members(try Self.order(template.defaults, ports, settings))
        } catch {
            self = .none(reason: error.message)
        }
    }

    /// - Throws: what of the template no idle member can have, or no member at all on this server.
    static func order(
        _ defaults: [String: JSONValue], _ ports: APIPorts, _ settings: APISettings
    ) throws(Problem) -> MemberOrder {
        let create = try CreateSandbox(.object(defaults))
        guard create.filesystems.isEmpty else {
            throw .invalid("filesystems", "a template with filesystems cannot have a pool: they are mounted at a start")
        }
        try ComputeService.checkOrder(create, ports, settings)
        return create.order(mounting: [])
    }
}
