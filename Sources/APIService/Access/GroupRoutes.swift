import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import Hummingbird

/// `/v1/groups`: decode, call, encode. Another group's id reads as one that nobody has.
struct GroupRoutes: Sendable {
    let service: GroupService
    /// Who vouches for people where a body names nobody.
    let issuer: String?

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: list, .post: create]).add("/v1/groups", to: router)
        RouteHandlers([.get: get, .patch: rename, .delete: delete]).add("/v1/groups/:group", to: router)
        RouteHandlers([.get: quotas, .put: limit]).add("/v1/groups/:group/quotas", to: router)
        RouteHandlers([.get: members, .post: addMember]).add("/v1/groups/:group/members", to: router)
        RouteHandlers([.get: member, .patch: changeMember, .delete: removeMember])
            .add("/v1/groups/:group/members/:member", to: router)
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let groups = try await service.list(for: try context.authenticated())
        return try Answer.json(SuccessList(try groups.map { JSONValue.object(try $0.view()) }, next: nil))
    }

    @Sendable func create(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let caller = try context.authenticated()
        let made = try await service.create(try NameGroup(try await request.document()), for: caller)
        var view = try made.group.view()
        view["key"] = .object(try made.key.view())
        return try Answer.success(JSONValue.object(view))
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try Self.answer(try await service.get(try Self.group(context)))
    }

    @Sendable func rename(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let group = try Self.group(context)
        let order = try NameGroup(try await request.document())
        return try Self.answer(try await service.rename(group, order, for: try context.authenticated()))
    }

    @Sendable func delete(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try await service.delete(try Self.group(context), for: try context.authenticated())
        return try Answer.success(EmptyData())
    }

    @Sendable func quotas(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try Self.answer(try await service.quotas(of: try Self.group(context)))
    }

    /// Of any group: who runs the system says what each may have.
    @Sendable func limit(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let order = try LimitGroup(try await request.document())
        let group = GroupID(context.parameter("group") ?? "")
        return try Self.answer(try await service.limit(group, to: order.quotas, for: try context.authenticated()))
    }

    @Sendable func members(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let page = try await service.members(
            of: try Self.group(context), after: request.query("cursor"), limit: try request.limit(default: 100))
        return try Answer.page(page)
    }

    @Sendable func member(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try Self.answer(try await service.member(Self.memberID(context), of: try Self.group(context)))
    }

    @Sendable func addMember(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let group = try Self.group(context)
        let order = try AddMember(try await request.document(), issuer: issuer)
        return try Self.answer(try await service.add(order, to: group, for: try context.authenticated()))
    }

    @Sendable func changeMember(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let group = try Self.group(context)
        let order = try ChangeMember(try await request.document())
        return try Self.answer(
            try await service.change(
                Self.memberID(context), order, of: group, for: try context.authenticated()))
    }

    @Sendable func removeMember(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        try await service.remove(
            Self.memberID(context), of: try Self.group(context), for: try context.authenticated())
        return try Answer.success(EmptyData())
    }

    /// - Throws: 404 for a group that is not the caller's, whether there is one or not.
    private static func group(_ context: APIRequestContext) throws(Problem) -> GroupID {
        let caller = try context.authenticated()
        guard context.parameter("group") == caller.group.rawValue else { throw .noSuchGroup }
        return caller.group
    }

    private static func memberID(_ context: APIRequestContext) -> String { context.parameter("member") ?? "" }

    private static func answer(_ report: QuotaReport) throws -> Response {
        try Answer.success(JSONValue.object(report.view()))
    }

    private static func answer(_ record: AccessRecord) throws -> Response {
        try Answer.success(JSONValue.object(try record.view()))
    }
}

extension Answer {
    static func page(_ page: AccessPage) throws -> Response {
        try json(SuccessList(try page.records.map { JSONValue.object(try $0.view()) }, next: page.next?.rawValue))
    }
}
