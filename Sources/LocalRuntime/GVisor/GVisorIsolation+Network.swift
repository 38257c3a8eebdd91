import ComputeCore
import ComputeRuntime
import LinuxHost
import Synchronization

extension GVisorIsolation {
    /// In turn with the member's removal: its address is another one's afterwards.
    func setNetwork(_ policy: NetworkPolicy, of name: MemberName) async throws(RuntimeError) {
        guard isNetworkReady.withLock({ $0 }) else { throw RuntimeError(.unavailable, "the runtime is not prepared") }
        _ = try directory(name)
        let network = network
        do throws(HostError) {
            try await networkTurns.run(name) { () async throws(HostError) in
                try await network.confine(name.rawValue, to: policy)
            }
        } catch {
            throw RuntimeError(error)
        }
    }
}
