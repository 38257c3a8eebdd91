import ComputeCore
import ComputeRuntime
import Crypto
import LocalRuntime
import Logging
import ServiceHost
import SidekickClient

extension MachineRuntime {
    /// The isolation that was set. Where gVisor cannot run, nothing else takes its place unasked.
    static func chosen(
        by settings: ServiceSettings, _ keys: ServiceKeys, _ sidekicks: HTTPSidekickAgent, logger: Logger
    ) async throws -> MachineRuntime {
        var common = Settings(
            dataDirectory: settings.dataDirectory, sidekick: settings.sidekick,
            claimKey: keys.claimSigning.publicKey.rawRepresentation.base64URL, poolSize: settings.poolSize)
        common.warmUp = { member in try await sidekicks.warmUp(at: member.sidekickInternal) }
        switch settings.isolation {
        case .process: return try .process(common, logger: logger)
        case .gvisor:
            var gvisor = settings.gvisor
            let progress = PreparationProgress(logger: logger)
            gvisor.progress = { progress.report($0, $1) }
            do {
                return try await .gvisor(common, gvisor, logger: logger)
            } catch {
                throw IsolationError(reason: error.message)
            }
        }
    }
}

/// Why computes cannot be isolated here.
struct IsolationError: Error, CustomStringConvertible {
    var reason: String

    var description: String {
        """
        computes cannot be isolated by gVisor here: \(reason)
        --isolation process runs them as plain processes of this user, without any isolation, for development only.
        """
    }
}
