package import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// Does what a claim orders beside the claim: overlays, and servers that wait for them. Once in the life of a compute, also when
/// the Sidekick starts again: it is done when all are recorded, and what a crash has cut short is done again.
package final class SetupService: Sendable {
    /// Where an order may also be, in base64: among the compute's variables.
    static let variable = "COMPUTESDK_SETUP_B64"

    /// Starts a server as `POST /servers` would, and returns its record.
    package typealias StartServer =
        @Sendable (_ order: ServerOrder, _ compute: ComputeContext) async throws -> JSONValue

    package enum Status: Hashable, Sendable {
        /// Nothing was ordered.
        case nothing
        case running
        case done
        /// Done as far as it went.
        case failed([String])

        package var isOver: Bool { self != .running }

        package var errors: [String] {
            switch self {
            case .nothing, .running, .done: []
            case .failed(let errors): errors
            }
        }

        var document: [String: JSONValue] {
            let name =
                switch self {
                case .nothing: "none"
                case .running: "running"
                case .done: "complete"
                case .failed: "failed"
                }
            return ["status": .string(name), "errors": .array(errors.map(JSONValue.string))]
        }
    }

    private struct State {
        var isStarted = false
        var status = Status.nothing
    }

    private let overlays: OverlayService
    private let startServer: StartServer
    /// There when it has been done.
    private let mark: String
    private let state = Mutex(State())

    package init(stateDirectory: String, overlays: OverlayService, startServer: @escaping StartServer) {
        mark = stateDirectory + "/setup-done"
        self.overlays = overlays
        self.startServer = startServer
    }

    package var status: Status { state.withLock { $0.status } }

    /// Returns at once. Only the first call does something.
    package func start(_ claimed: JSONValue?, in compute: ComputeContext) {
        let variable = compute.env[Self.variable].flatMap { $0.isEmpty ? nil : $0 }
        guard claimed != nil || variable != nil, access(mark, F_OK) != 0 else { return }
        let isFirst = state.withLock { state in
            guard !state.isStarted else { return false }
            state.isStarted = true
            state.status = .running
            return true
        }
        guard isFirst else { return }
        Task {
            let errors = await self.run(claimed, variable, compute)
            for error in errors { SidekickLog.write(.error, "a step of the setup failed", ["reason": error]) }
            self.markAsDone()
            self.state.withLock { $0.status = errors.isEmpty ? .done : .failed(errors) }
        }
    }

    private func run(_ claimed: JSONValue?, _ variable: String?, _ compute: ComputeContext) async -> [String] {
        var errors: [String] = []
        var orders: [SetupOrder] = []
        do throws(Problem) {
            if let claimed { orders.append(try SetupOrder(claimed, directory: compute.directory)) }
            if let variable { orders.append(try SetupOrder(base64: variable, directory: compute.directory)) }
        } catch {
            errors.append(error.message)
        }
        for order in orders {
            errors += await perform(order, in: compute, isRepeatable: true).errors
        }
        return errors
    }

    /// Makes overlays, and servers that wait for them. What fails stops nothing else.
    /// - Parameter isRepeatable: what is there already was made before a crash, and nobody waits for files.
    func perform(
        _ order: SetupOrder, in compute: ComputeContext, isRepeatable: Bool = false
    ) async -> (overlays: [OverlayInfo], servers: [JSONValue], errors: [String]) {
        var made: [OverlayInfo] = []
        var servers: [JSONValue] = []
        var errors: [String] = []
        for request in order.overlays {
            let earlier = isRepeatable ? overlays.list().first { $0.request.isSame(as: request) } : nil
            do {
                if let earlier {
                    made.append(earlier)
                } else {
                    made.append(try await overlays.create(request, as: compute.user, isAwaited: !isRepeatable))
                }
            } catch {
                errors.append("overlay \(request.target): \(Self.reason(error))")
            }
        }
        for server in order.servers {
            do {
                servers.append(try await startServer(server.waiting(for: made.map(\.id)), compute))
            } catch let problem as Problem where isRepeatable && problem.field == "slug" && problem.status == 409 {
                continue
            } catch {
                errors.append("server \(server.definition.slug): \(Self.reason(error))")
            }
        }
        return (made, servers, errors)
    }

    private static func reason(_ error: any Error) -> String {
        (error as? Problem)?.message ?? "it could not be made"
    }

    /// Without it the setup is done once more by the next process, which does no harm.
    private func markAsDone() {
        do throws(LinuxSystemError) {
            let file = try FileDescriptor.open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW, mode: 0o600)
            try file.sync(mark)
        } catch {
            SidekickLog.write(.warning, "the end of the setup could not be recorded", ["reason": "\(error)"])
        }
    }
}

extension SetupService {
    /// Ready is what has nothing left to be done; whether it was done well is `healthy`.
    var readiness: Readiness {
        let status = status
        return Readiness(
            isReady: status.isOver, isHealthy: status.errors.isEmpty,
            members: status == .nothing ? [:] : ["setup": .object(status.document)])
    }
}
