import APIContract
import ComputeCore

extension Area {
    static let sandboxAuth = Area(
        name: "auth", text: "At a sandbox's own URL: tokens and links for what is inside.",
        operations: routes(below: "/auth")
            + routes(below: "/s/{id}/auth").map { operation in
                var inPath = operation
                inPath.id += "InPathForm"
                return inPath
            })

    private static func routes(below base: String) -> [Operation] {
        ["magic-links", "magic-link"].map { name in
            Operation(
                method: "POST", path: "\(base)/\(name)",
                id: name == "magic-link" ? "createMagicLinkByOldPath" : "createMagicLink",
                summary: "A link that signs its visitor in once",
                body: .order([
                    .may("redirectUrl", .text(1...CreateMagicLink.maxRedirectBytes)),
                    .may("redirect_url", .text(1...CreateMagicLink.maxRedirectBytes)),
                ]),
                status: 201,
                answer: success(
                    .object([.must("magic_url", .text), .must("expires_at", .time), .must("redirect_url", .text)])),
                refusals: [429], isDeprecated: name == "magic-link")
        } + [
            Operation(
                method: "GET", path: base + "/status", id: "getAuthStatus", summary: "Who asks",
                answer: success(
                    .object([
                        .must("authenticated", .boolean), .may("token_type", .word(["access_token", "session_token"])),
                        .may("expires_at", .time),
                    ]))),
            Operation(
                method: "GET", path: base + "/info", id: "getAuthInfo", summary: "How to sign in",
                answer: success(.object)),
            Operation(
                method: "POST", path: base + "/token", id: "claimToken",
                summary: "Always 409: the token comes with the sandbox", answer: .never, refusals: [409]),
            Operation(
                method: "POST", path: base + "/session_tokens", id: "createSessionToken",
                summary: "For a browser or another program",
                body: .order([
                    .may("description", .text(0...CreateSession.maxDescriptionBytes)),
                    .may("expiresIn", Schema.integer(CreateSession.lifetimeRange).described("Seconds.")),
                    .may("expires_in", .integer(CreateSession.lifetimeRange)),
                ]),
                status: 201, answer: success(.named("SessionToken")), refusals: [429]),
            Operation(
                method: "GET", path: base + "/session_tokens", id: "listSessionTokens", summary: "Those that are good",
                answer: success(.object([.must("tokens", .list(of: .named("SessionToken")))]))),
            Operation(
                method: "GET", path: base + "/session_tokens/{token}", id: "getSessionToken", summary: "One",
                answer: success(.named("SessionToken"))),
            Operation(
                method: "DELETE", path: base + "/session_tokens/{token}", id: "revokeSessionToken",
                summary: "Take it back at once", status: 204, answer: .empty),
            Operation(
                method: "GET", path: base + "/magic", id: "visitMagicLink", summary: "Where a magic link leads",
                parameters: [.query("token", .text, "The link's own.")], status: 302, answer: .empty,
                otherAnswers: Dictionary(
                    uniqueKeysWithValues: [200, 400, 403, 425, 429].map { ($0, .other(mediaType: "text/html")) })),
        ]
    }

    private static func success(_ data: Schema) -> Operation.Answer {
        .document(.object([.must("status", .word(["success"])), .must("message", .text), .must("data", data)]))
    }
}
