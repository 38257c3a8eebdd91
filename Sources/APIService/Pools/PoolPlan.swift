import APIContract
import ComputeCore
import ComputeRuntime

/// What the members of a pool are to be, or why it can have none: a pure function of what its template says of a create and
/// of what the server can give.
enum PoolPlan: Hashable, Sendable {
    case members(MemberOrder)
    case none(reason: String)

    /// - Parameter defaults: nil: the template is gone, or that revision of it.
    init(_ defaults: [String: JSONValue]?, _ offer: ServerOffer) {
        guard let defaults else {
            self = .none(reason: "the template, or the revision of it, is not there any more")
            return
        }
        do throws(Problem) {
            self = .members(try Self.order(try CreateSandbox(.object(defaults)), offer))
        } catch {
            self = .none(reason: error.message)
        }
    }

    /// - Parameter create: one that says nothing but its template.
    /// - Throws: what of the template no idle member can have, or no member at all on this server.
    static func order(_ create: CreateSandbox, _ offer: ServerOffer) throws(Problem) -> MemberOrder {
        guard let order = create.idleOrder else {
            throw .invalid("filesystems", "a template with filesystems cannot have a pool: they are mounted at a start")
        }
        try offer.check(create)
        return order
    }
}
