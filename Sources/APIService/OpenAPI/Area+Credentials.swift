import ComputeCore

extension Area {
    static let credentials = Area(
        name: "credentials", text: "Keys, sessions, and what tokens are signed with.",
        operations: keys + sessions + signingKeys)

    private static let keys: [Operation] = [
        Operation(
            method: "GET", path: "/v1/keys", id: "listKeys", summary: "The group's",
            parameters: [.cursor, .limit], answer: .page(of: .named("Key"))),
        Operation(
            method: "POST", path: "/v1/keys", id: "createKey", summary: "Make one",
            body: .order([
                .may("label", .text(0...128)), .must("role", Components.role), .may("scopes", Components.scopes),
                .may("expiresIn", Schema.integer(CreateKey.lifetimeRange).described("Seconds.")),
            ]),
            answer: .data(.named("NewKey")), refusals: [429]),
        Operation(
            method: "GET", path: "/v1/keys/{key}", id: "getKey", summary: "One", answer: .data(.named("Key"))),
        Operation(
            method: "DELETE", path: "/v1/keys/{key}", id: "revokeKey",
            summary: "Take it back at once, with all that came of it", answer: .data(.object), refusals: [409]),
        Operation(
            method: "POST", path: "/v1/keys/{key}/rotate", id: "rotateKey", summary: "Make the next, for the same",
            body: .order([
                .may(
                    "overlap",
                    Schema.integer(RotateKey.overlapRange).described(
                        "For how many seconds the old one is good as well; 3 600 when absent."))
            ]),
            answer: .data(.named("NewKey")), refusals: [409, 429]),
    ]

    private static let sessions: [Operation] = [
        Operation(
            method: "POST", path: "/v1/sessions", id: "createSession", summary: "Stand for the caller for a while",
            body: .order([
                .may("description", .text(0...1024)), .may("role", Components.role), .may("scopes", Components.scopes),
                .may(
                    "expiresIn",
                    Schema.integer(CreateAPISession.lifetimeRange).described("Seconds; 3 600 when absent.")),
            ]),
            answer: .data(.named("NewSession")), refusals: [409, 429]),
        Operation(
            method: "GET", path: "/v1/sessions", id: "listSessions", summary: "The caller's; an admin's: the group's",
            parameters: [.cursor, .limit], answer: .page(of: .named("Session"))),
        Operation(
            method: "GET", path: "/v1/sessions/{session}", id: "getSession", summary: "One",
            answer: .data(.named("Session"))),
        Operation(
            method: "DELETE", path: "/v1/sessions/{session}", id: "revokeSession", summary: "End it at once",
            answer: .data(.object), refusals: [409]),
    ]

    private static let signingKeys: [Operation] = [
        Operation(
            method: "GET", path: "/v1/signing-keys", id: "listSigningKeys", summary: "Newest first",
            answer: .page(of: .named("SigningKey"))),
        Operation(
            method: "POST", path: "/v1/signing-keys", id: "rotateSigningKeys", summary: "Sign with a new key",
            body: .order([
                .may(
                    "withdraw",
                    Schema.boolean.described("Whether the old ones and all tokens of theirs are good no longer."))
            ]),
            answer: .page(of: .named("SigningKey")), refusals: [409]),
    ]
}
