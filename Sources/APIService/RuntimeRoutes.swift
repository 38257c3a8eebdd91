import APIContract
import ComputeCore
import ComputeRuntime
import HTTPTypes
import Hummingbird

/// `GET /v1/runtime`: what computes run on here.
struct RuntimeRoutes: Sendable {
    let runtime: any ComputeRuntime
    let maximumResources: ComputeResources

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: get]).add("/v1/runtime", to: router)
    }

    @Sendable func get(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        _ = try context.authenticated()
        return try Answer.success(RuntimeView(runtime.describe(), maximumResources))
    }
}

extension RuntimeView {
    init(_ description: RuntimeDescription, _ maximum: ComputeResources) {
        self.init(
            isolation: description.isolation, abilities: description.abilities.names,
            runsc: description.gvisor.map { Runsc(version: $0.version, platform: $0.platform, network: $0.network) },
            cgroup: description.cgroup,
            defaults: Defaults(
                image: description.defaultImage, resources: description.defaultResources.map(\.document)),
            ceilings: maximum.document,
            pool: Pool(target: description.poolTarget, idle: description.poolIdle))
    }
}
