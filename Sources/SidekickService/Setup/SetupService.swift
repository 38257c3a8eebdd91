package import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// Does what a claim orders beside the claim: overlays first, servers after them. Once in the life of a compute, also when the
/// Sidekick starts again; what a crash has cut short is done again.
package final class SetupService: Sendable {
    /// Where an order may also be, in base64: among the compute's variables.
    static let variable = "COMPUTESDK_SETUP_B64"

    /// Starts a server as `POST /servers` would, and returns its record.
    package typealias StartServer =
        @Sendable (_ fields: [String: JSONValue], _ compute: ComputeContext) async throws -> JSONValue

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
    private let startServer: StartServer?
    /// There when it has been done.
    private let mark: String
    private let state = Mutex(State())

    /// - Parameter startServer: nil: there are no servers here.
    package init(stateDirectory: String, overlays: OverlayService, startServer: StartServer? = nil) {
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
            let outcome = await perform(order, in: compute)
            errors += outcome.errors
        }
        return errors
    }

    /// Overlays one after the other, then servers. What fails stops nothing else.
    func perform(
        _ order: SetupOrder, in compute: ComputeContext
    ) async -> (overlays: [OverlayInfo], servers: [JSONValue], errors: [String]) {
        var made: [OverlayInfo] = []
        var servers: [JSONValue] = []
        var errors: [String] = []
        for request in order.overlays {
            do throws(Problem) {
                let overlay = try await overlays.create(request, as: compute.user)
                _ = await overlays.waitUntilComplete(overlay.id)
                let info = try overlays.get(overlay.id)
                made.append(info)
                if case .failed(let reason) = info.state { errors.append("overlay \(request.target): \(reason)") }
            } catch {
                errors.append("overlay \(request.target): \(error.message)")
            }
        }
        for fields in order.servers {
            do {
                guard let startServer else {
                    throw Problem(status: 409, code: .unsupported, message: "servers cannot be started here")
                }
                servers.append(try await startServer(fields, compute))
            } catch {
                errors.append("server: \((error as? Problem)?.message ?? "it could not be started")")
            }
        }
        return (made, servers, errors)
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
