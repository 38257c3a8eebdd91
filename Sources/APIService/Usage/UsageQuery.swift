import ComputeCore
import ComputeDomain
import Hummingbird

/// `group`, `from` and `to` of a request for usage.
struct UsageQuery: Sendable {
    /// A year, with the day that some of them have more.
    static let mostDays: Int64 = 366
    static let usualDays: Int64 = 30

    let group: GroupID
    let first: UsageDay
    let last: UsageDay

    /// - Throws: 400 that names the field; 404 for another group, unless whoever runs the system asks.
    init(_ request: Request, for caller: Caller, today: UsageDay) throws(Problem) {
        group = request.query("group").map { GroupID($0) } ?? caller.group
        let runsTheSystem = caller.group == .default && caller.authority.role == .owner
        guard group == caller.group || runsTheSystem else { throw .noSuchGroup }
        last = try Self.day("to", request) ?? today
        first = try Self.day("from", request) ?? last.advanced(by: 1 - Self.usualDays)
        guard first <= last else { throw .invalid("from", "from must not be after to") }
        guard last.number - first.number < Self.mostDays else {
            throw .invalid("from", "from and to must be at most \(Self.mostDays) days apart, both counted")
        }
    }

    private static func day(_ name: String, _ request: Request) throws(Problem) -> UsageDay? {
        guard let text = request.query(name) else { return nil }
        // There was nothing to be metered before 1970.
        guard let day = UsageDay(text), day.number >= 0 else {
            throw .invalid(name, "\(name) must be a day in UTC such as 2026-11-29")
        }
        return day
    }
}
