import ComputeCore
package import ComputeDomain
import Synchronization

/// Receivers of webhooks that answer as they are told to.
package final class InMemoryReceivers: WebhookSender {
    private struct State {
        var answer: @Sendable (WebhookMessage, WebhookURL) -> Result<Int, WebhookFailure> = { _, _ in .success(200) }
        var refusal: String?
        var messages: [(message: WebhookMessage, url: WebhookURL)] = []
    }
    private let state = Mutex(State())

    package init() {}

    package func answer(_ answer: @escaping @Sendable (WebhookMessage, WebhookURL) -> Result<Int, WebhookFailure>) {
        state.withLock { $0.answer = answer }
    }
    package func refuse(_ text: String?) { state.withLock { $0.refusal = text } }

    /// Every attempt, in order.
    package var messages: [(message: WebhookMessage, url: WebhookURL)] { state.withLock { $0.messages } }

    package func refusal(of url: WebhookURL) async -> String? { state.withLock { $0.refusal } }

    package func send(_ message: WebhookMessage, to url: WebhookURL) async throws(WebhookFailure) -> Int {
        let answer = state.withLock { state in
            state.messages.append((message, url))
            return state.answer
        }
        return try answer(message, url).get()
    }
}
