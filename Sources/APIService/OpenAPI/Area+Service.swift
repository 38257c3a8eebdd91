import ComputeCore

extension Area {
    static let service = Area(
        name: "service", text: "The server itself.",
        operations: [
            Operation(
                method: "GET", path: "/health", id: "getHealth", summary: "Whether the process answers",
                answer: .document(.object([.must("status", .word(["ok"]))]))),
            Operation(
                method: "GET", path: "/ready", id: "getReadiness", summary: "Whether a create would succeed",
                answer: .document(.named("Readiness")), otherAnswers: [503: .document(.named("Readiness"))]),
            Operation(
                method: "GET", path: "/openapi.json", id: "getDescription", summary: "This description",
                answer: .document(.object)),
            Operation(
                method: "GET", path: "/.well-known/jwks.json", id: "getPublicKeys",
                summary: "The public keys of the tokens of this server (RFC 7517, 8037)",
                answer: .document(.object([.must("keys", .list(of: .object))]))),
            Operation(
                method: "GET", path: "/v1/runtime", id: "getRuntime", summary: "What sandboxes run on",
                answer: .data(.named("Runtime"))),
        ])
}
