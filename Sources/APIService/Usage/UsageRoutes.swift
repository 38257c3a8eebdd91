import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird

/// `GET /v1/usage`: decode, call, encode.
struct UsageRoutes: Sendable {
    let ports: APIPorts

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: get]).add("/v1/usage", to: router)
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let now = ports.clock.now()
        let query = try UsageQuery(request, for: try context.authenticated(), today: UsageDay(now))
        let usage = try await ports.usage.usage(of: query.group, from: query.first, through: query.last, at: now)
        return try Answer.success(JSONValue.object(query.view(usage)))
    }
}

extension UsageQuery {
    func view(_ usage: UsageByDay) -> [String: JSONValue] {
        let days = usage.sorted { $0.key < $1.key }
        return [
            "groupId": .string(group.rawValue), "from": .string(first.description), "to": .string(last.description),
            "days": .array(
                days.map { day, amount in
                    .object(amount.view.merging(["date": .string(day.description)]) { $1 })
                }),
            "total": .object(days.reduce(into: UsageAmount()) { $0 += $1.value }.view),
        ]
    }
}

extension UsageAmount {
    fileprivate var view: [String: JSONValue] {
        [
            "computeSeconds": .double(Double(compute) / 1000), "cpuSeconds": .double(Double(cpu) / 1_000_000),
            "memoryMiBSeconds": .double(Double(memory) / 1000),
        ]
    }
}
