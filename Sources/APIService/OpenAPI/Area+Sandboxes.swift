import APIContract
import ComputeCore

extension Area {
    static let sandboxes = Area(
        name: "sandboxes", text: "Computes: make, find, change, pause, stop and end them.",
        operations: routes(below: "/v1/sandboxes")
            + routes(below: "/v1/sandbox").map { operation in
                var old = operation
                old.id += "ByOldPath"
                old.isDeprecated = true
                return old
            })

    private static func routes(below base: String) -> [Operation] {
        [
            Operation(
                method: "POST", path: base, id: "createSandbox", summary: "Make one; it runs when this answers",
                parameters: [
                    .header(
                        "Idempotency-Key", .text(1...255),
                        "A repeated request with the same key and body answers with the same sandbox, for a day.")
                ],
                body: .named("CreateSandbox"), answer: .data(.named("Sandbox")), refusals: [404, 409, 429]),
            Operation(
                method: "GET", path: base, id: "listSandboxes", summary: "The group's, newest first, without tokens",
                parameters: [
                    .query(
                        "state", .word(SandboxStatus.allCases.map(\.rawValue) + ["all"]),
                        """
                        Those that are alive when absent. Beside these there is a parameter `metadata.KEY` for each entry of \
                        the metadata: with that value, as text.
                        """),
                    .query("name", Components.name, "In that namespace, or in `default`."),
                    .query("namespace", Components.name, "Of those that have a name."),
                    .query("createdAfter", .time, "From then on; also in milliseconds since 1970."),
                    .query("createdBefore", .time, "Before then; also in milliseconds since 1970."),
                    .cursor, .limit,
                ],
                answer: .page(of: .named("Sandbox"))),
            Operation(
                method: "POST", path: base + "/find", id: "findSandbox", summary: "The one of that name, or null",
                body: .order([.must("name", Components.name), .may("namespace", Components.name)]),
                answer: .data(Schema.named("Sandbox").orNull)),
            Operation(
                method: "POST", path: base + "/find-or-create", id: "findOrCreateSandbox",
                summary: "The one of that name, made when there is none; only then the other fields count",
                body: Schema.named("CreateSandbox").adding([.must("name", Components.name)]),
                answer: .data(.named("Sandbox")), refusals: [404, 409, 429]),
            Operation(
                method: "GET", path: base + "/{id}", id: "getSandbox", summary: "One, also after its end",
                answer: .data(.named("Sandbox"))),
            Operation(
                method: "DELETE", path: base + "/{id}", id: "deleteSandbox", summary: "End it",
                answer: .data(.object), refusals: [409]),
            Operation(
                method: "PATCH", path: base + "/{id}", id: "changeSandbox",
                summary:
                    "Change its metadata, its end and what becomes of it then, its network or who reaches its ports",
                body: .order([
                    .may(
                        "metadata",
                        Schema.object.described("Entries to set, null removes one; 16 KiB with what is there.")),
                    .may(
                        "timeout",
                        Schema.integer(CreateSandbox.timeoutRange).described("It ends so many milliseconds from now.")),
                    .may(
                        "network",
                        Schema.order(Components.network).described("In the place of what was said before; at once.")),
                    .may("ports", Components.portChanges.described("Entries to set, null removes one.")),
                    .may("lifecycle", Components.lifecycle),
                ]),
                answer: .data(.named("Sandbox")), refusals: [409]),
            Operation(
                method: "POST", path: base + "/{id}/pause", id: "pauseSandbox",
                summary: "Let it stand still, with all that is in its memory", answer: .data(.named("Sandbox")),
                refusals: [409]),
            Operation(
                method: "POST", path: base + "/{id}/resume", id: "resumeSandbox", summary: "Let it go on",
                answer: .data(.named("Sandbox")), refusals: [409]),
            Operation(
                method: "POST", path: base + "/{id}/stop", id: "stopSandbox",
                summary: "End all that runs in it, and keep its disk", answer: .data(.named("Sandbox")),
                refusals: [409]),
            Operation(
                method: "POST", path: base + "/{id}/start", id: "startSandbox",
                summary: "Start it again on its disk; it runs when this answers", answer: .data(.named("Sandbox")),
                refusals: [409, 429]),
            Operation(
                method: "POST", path: base + "/{id}/extend", id: "extendSandbox", summary: "Move its end",
                body: .order([
                    .may(
                        "duration",
                        Schema.integer(1000...604_800_000).described(
                            "Milliseconds; 900 000 when absent. It ends in 7 days at the latest."))
                ]),
                answer: .data(.object([.must("sandboxId", .text), .must("expiresAt", .time)])), refusals: [409]),
        ]
    }
}
