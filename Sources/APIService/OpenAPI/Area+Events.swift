import APIContract
import ComputeCore

extension Area {
    static let events = Area(
        name: "events", text: "What happened.",
        operations: [
            Operation(
                method: "GET", path: "/v1/events", id: "listEvents",
                summary: "What happened in the group, oldest first",
                parameters: filters + [.query("after", .text, "A `next` or `cursor` of before."), .limit],
                answer: .document(
                    .object([
                        .must("success", .boolean), .must("data", .list(of: .named("Event"))), .may("next", .text),
                        .may("cursor", Schema.text.described("Where to go on later, also after the last page.")),
                    ])),
                refusals: [404]),
            Operation(
                method: "GET", path: "/v1/events/stream", id: "streamEvents", summary: "The same as it happens",
                parameters: filters + [
                    .query("after", .text, "Where to begin; now when absent."),
                    .header("Last-Event-ID", .text, "The same, as browsers say it."),
                ],
                answer: .other(mediaType: "text/event-stream"), refusals: [404, 429]),
            Operation(
                method: "POST", path: "/events", id: "recordEvent",
                summary: "Put something on record, with a sandbox's token",
                body: .order([
                    .must(
                        "type",
                        .text(1...EmitEvent.maxTypeBytes, pattern: #"^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$"#)),
                    .may("data", Schema.object.described("16 KiB.")),
                ]),
                answer: .data(
                    .object([
                        .must("eventId", .text), .must("sandboxId", .text), .must("type", .text),
                        .must("timestamp", .time),
                    ])),
                refusals: [429]),
            Operation(
                method: "GET", path: "/events/{id}", id: "listEventsOfSandbox", summary: "What happened to a sandbox",
                parameters: [types, since, .limit],
                answer: .data(
                    .object([
                        .must("sandboxId", .text), .must("count", .count), .must("events", .list(of: entry)),
                    ]))),
        ])

    private static let types = Operation.Parameter.query("type", .text, "Names of types, with commas between.")
    private static let since = Operation.Parameter.query(
        "since", .text, "An RFC 3339 time, or milliseconds since 1970.")

    private static let filters: [Operation.Parameter] = [
        .query("sandboxId", .text, "Of this sandbox."), types,
        .query("actor", .text, "Who did it, such as `key:<id>` or `system`."), since,
        .query("until", .text, "The same, and not later."),
    ]

    private static let entry = Schema.object([
        .must("id", .text), .must("sandboxId", .text), .must("workspaceId", .text), .must("type", .text),
        .must("data", .object), .must("timestamp", .time),
    ])
}
