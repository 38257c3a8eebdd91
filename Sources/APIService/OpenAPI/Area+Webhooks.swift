import APIContract
import ComputeCore
import ComputeDomain

extension Area {
    static let webhooks = Area(
        name: "webhooks", text: "Events pushed to a URL of yours.",
        operations: [
            Operation(
                method: "POST", path: base, id: "createWebhook", summary: "Have events sent, from now on",
                body: .order([.must("url", url.described("To a public address."))] + settings),
                answer: .data(.named("NewWebhook")), refusals: [429]),
            Operation(
                method: "GET", path: base, id: "listWebhooks", summary: "All of the group",
                answer: .page(of: .named("Webhook"))),
            Operation(
                method: "GET", path: one, id: "getWebhook", summary: "One, and what did not arrive",
                answer: .data(.named("Webhook"))),
            Operation(
                method: "PATCH", path: one, id: "changeWebhook", summary: "Change it; what is absent stays",
                body: .order([.may("url", url)] + settings), answer: .data(.named("Webhook")), refusals: [409]),
            Operation(
                method: "DELETE", path: one, id: "deleteWebhook", summary: "Send nothing more", answer: .data(.object)),
            Operation(
                method: "POST", path: one + "/rotate", id: "rotateWebhookSecret", summary: "Sign with a new secret",
                answer: .data(.named("NewWebhook"))),
            Operation(
                method: "GET", path: one + "/deliveries", id: "listDeliveries", summary: "What did not arrive",
                parameters: [
                    .query("state", .word(["dead", "retrying"]), "`dead` when absent."),
                    .query("after", .text, "The `next` of the page before."), .limit,
                ],
                answer: .page(of: .named("Delivery"))),
            Operation(
                method: "DELETE", path: one + "/deliveries", id: "dropAllDeliveries", summary: "Forget all dead ones",
                answer: .data(affected)),
            Operation(
                method: "DELETE", path: one + "/deliveries/{event}", id: "dropDelivery", summary: "Forget a dead one",
                answer: .data(affected)),
            Operation(
                method: "POST", path: one + "/redeliver", id: "redeliverAll", summary: "Try all dead ones again",
                answer: .data(affected)),
            Operation(
                method: "POST", path: one + "/deliveries/{event}/redeliver", id: "redeliver", summary: "Try one again",
                answer: .data(affected)),
        ])

    private static let base = "/v1/webhooks"
    private static let one = base + "/{webhook}"
    private static let url = Schema.text(1...WebhookURL.maxBytes, pattern: "^https?://")
    private static let affected = Schema.object([.must("count", .count)])

    private static let settings: [Schema.Field] = [
        .may(
            "types",
            Schema.list(of: .text(1...64, pattern: "^[A-Za-z0-9._-]+$"), atMost: WebhookOrder.maxTypes)
                .described("Which events; all when empty.")),
        .may("description", .text(0...WebhookOrder.maxDescriptionBytes)), .may("active", .boolean),
    ]
}
