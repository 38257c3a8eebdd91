package import ComputeCore
package import SidekickProtocol
import Synchronization

/// The Sidekicks of an `InMemoryRuntime`'s members: each keeps the one claim it accepted.
package final class InMemorySidekicks: SidekickAgent {
    /// What goes wrong; change it at any time.
    package struct Behaviour: Sendable {
        /// So many next claims are kept, but their answer is lost.
        package var lostAnswers = 0
        /// So many next claims never arrive.
        package var lostClaims = 0
        /// Every claim is refused.
        package var refuses = false
        /// Every claim is refused because of this field.
        package var refusedField: String?
        /// How long each answer takes.
        package var delay: Duration = .zero

        package init() {}
    }

    private struct State {
        var behaviour = Behaviour()
        var claims: [MemberName: ClaimOrder] = [:]
        var attempts: [MemberName: Int] = [:]
    }

    private let state = Mutex(State())
    private let isAlive: @Sendable (MemberName) -> Bool

    package init(of runtime: InMemoryRuntime) { isAlive = { runtime.isAlive($0) } }

    // MARK: What tests do to it

    package func set(_ change: (inout Behaviour) -> Void) { state.withLock { change(&$0.behaviour) } }

    /// Somebody else claims the member behind our back.
    package func claimElsewhere(_ member: MemberName, order: ClaimOrder) {
        state.withLock { $0.claims[member] = order }
    }

    package func claim(of member: MemberName) -> ClaimOrder? { state.withLock { $0.claims[member] } }
    package var claimedMembers: [MemberName] { state.withLock { $0.claims.keys.sorted() } }
    /// How often the member was asked to be claimed.
    package func attempts(on member: MemberName) -> Int { state.withLock { $0.attempts[member, default: 0] } }

    // MARK: The port

    package func claim(
        _ member: MemberName, at endpoint: Endpoint, order: ClaimOrder
    ) async throws(SidekickAgentError) {
        try await pause()
        guard Self.member(at: endpoint) == member, isAlive(member) else { throw noAnswer }
        let failure = state.withLock { state -> SidekickAgentError? in
            state.attempts[member, default: 0] += 1
            if state.behaviour.lostClaims > 0 {
                state.behaviour.lostClaims -= 1
                return noAnswer
            }
            if let field = state.behaviour.refusedField {
                return SidekickAgentError(.refused, "\(field) is required", field: field)
            }
            if state.behaviour.refuses { return SidekickAgentError(.refused, "the claim was refused") }
            if let claimed = state.claims[member], claimed != order {
                return SidekickAgentError(.alreadyClaimed, "another compute has this member")
            }
            state.claims[member] = order
            if state.behaviour.lostAnswers > 0 {
                state.behaviour.lostAnswers -= 1
                return noAnswer
            }
            return nil
        }
        if let failure { throw failure }
    }

    package func state(at endpoint: Endpoint) async throws(SidekickAgentError) -> SidekickState {
        try await pause()
        guard let member = Self.member(at: endpoint), isAlive(member) else { throw noAnswer }
        let claim = claim(of: member)
        return SidekickState(
            member: member, computeId: claim?.computeId, generation: claim?.generation, version: "in-memory")
    }

    // MARK: Inside

    private static let directory = "/in-memory/"

    static func endpoint(of member: MemberName, _ socket: String) -> Endpoint {
        .unix(path: "\(directory)\(member)/\(socket).sock")
    }

    private static func member(at endpoint: Endpoint) -> MemberName? {
        guard case .unix(let path) = endpoint, path.hasPrefix(directory), path.hasSuffix("/i.sock") else { return nil }
        return MemberName(String(path.dropFirst(directory.count).dropLast("/i.sock".count)))
    }

    private var noAnswer: SidekickAgentError { SidekickAgentError(.noAnswer, "the Sidekick does not answer") }

    private func pause() async throws(SidekickAgentError) {
        let delay = state.withLock { $0.behaviour.delay }
        guard delay > .zero else { return }
        do { try await Task.sleep(for: delay) } catch { throw noAnswer }
    }
}
