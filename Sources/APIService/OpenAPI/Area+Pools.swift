import APIContract
import ComputeCore

extension Area {
    static let pools = Area(
        name: "pools", text: "Idle computes of a template that are kept ready.",
        operations: [
            Operation(
                method: "POST", path: all, id: "createPool", summary: "Keep computes of a template ready",
                body: .order(
                    [
                        .must("name", Components.name),
                        .must("templateId", Schema.text.described("Of a template, or its name.")), revision,
                    ] + size), answer: .data(.named("Pool")), refusals: [409, 429]),
            Operation(
                method: "GET", path: all, id: "listPools", summary: "The group's, by name",
                parameters: [.cursor, .limit], answer: .page(of: .named("Pool"))),
            Operation(
                method: "GET", path: one, id: "getPool", summary: "One, and how it stands",
                answer: .data(.named("Pool"))),
            Operation(
                method: "PATCH", path: one, id: "changePool", summary: "Change it; what is absent stays",
                body: .order(
                    [
                        .may("name", Components.name),
                        .may("templateId", Schema.text.described("Of a template, or its name.")), revision,
                    ] + size + [
                        .may(
                            "revision",
                            Schema.integer(1...Int64.max).described(
                                "The one that this was made from: 409 when there is a newer one."))
                    ]), answer: .data(.named("Pool")), refusals: [409, 429]),
            Operation(
                method: "DELETE", path: one, id: "deletePool", summary: "Delete it, and remove what waits in it",
                answer: .data(.object)),
        ])

    private static let all = "/v1/pools"
    private static let one = "/v1/pools/{pool}"
    private static let revision = Schema.Field.may(
        "templateRevision", Schema.integer(1...Int64.max).described("The newest when absent beside `templateId`."))
    private static let size: [Schema.Field] = [
        .may("size", Schema.integer(PoolSize.range).described("This, or `min` and `max`.")),
        .may("min", Schema.integer(PoolSize.range).described("0 when absent from a new one.")),
        .may("max", .integer(PoolSize.range)),
        .may("autoscale", Schema.boolean.described("May say what follows: true with `min` below `max`.")),
    ]
}
