import APIContract
import ComputeCore

extension Area {
    static let secrets = Area(
        name: "secrets", text: "Values that sandboxes are given and that nobody reads.",
        operations: [
            Operation(
                method: "POST", path: "/v1/secrets", id: "createSecret", summary: "Keep a new one",
                body: .order([.must("name", Components.secretName)] + value), answer: .data(.named("Secret")),
                refusals: [409, 429]),
            Operation(
                method: "GET", path: "/v1/secrets", id: "listSecrets", summary: "Their names and versions",
                parameters: [.cursor, .limit], answer: .page(of: .named("Secret"))),
            Operation(
                method: "PUT", path: one, id: "writeSecret", summary: "Its next version, or its first",
                body: .order(value), answer: .data(.named("Secret")), refusals: [409, 429]),
            Operation(
                method: "GET", path: one, id: "getSecret", summary: "Its versions, never its value",
                answer: .data(.named("Secret"))),
            Operation(
                method: "DELETE", path: one, id: "deleteSecret", summary: "Forget it, in all versions",
                answer: .data(.object)),
        ])

    private static let one = "/v1/secrets/{secret}"
    private static let value: [Schema.Field] = [
        .may("value", Schema.text(0...WriteSecret.maxBytes).described("This or `valueBase64`; in bytes.")),
        .may("valueBase64", Schema.text.described("Of 64 KiB at most.")),
    ]
}
