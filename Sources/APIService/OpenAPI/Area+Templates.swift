import APIContract
import ComputeCore

extension Area {
    static let templates = Area(
        name: "templates", text: "What creates can start from, in revisions that never change.",
        operations: [
            Operation(
                method: "POST", path: all, id: "createTemplate", summary: "Make one, at revision 1",
                body: Components.template([.must("name", Components.name)] + own), answer: .data(.named("Template")),
                refusals: [409, 429]),
            Operation(
                method: "GET", path: all, id: "listTemplates", summary: "The group's, by name",
                parameters: [.cursor, .limit], answer: .page(of: .named("Template"))),
            Operation(
                method: "GET", path: one, id: "getTemplate", summary: "One, at its newest revision",
                answer: .data(.named("Template"))),
            Operation(
                method: "PUT", path: one, id: "reviseTemplate",
                summary: "Say it anew: its next revision, unless it says the same already",
                body: Components.template(
                    [.must("name", Components.name)] + own + [
                        .may(
                            "revision",
                            Schema.integer(1...Int64.max).described(
                                "The one that this was made from: 409 when there is a newer one."))
                    ]), answer: .data(.named("Template")), refusals: [409]),
            Operation(
                method: "DELETE", path: one, id: "deleteTemplate",
                summary: "Delete it with its revisions; what was made from it goes on", answer: .data(.object)),
            Operation(
                method: "GET", path: one + "/revisions", id: "listTemplateRevisions",
                summary: "Those that are kept, the newest first", parameters: [.cursor, .limit],
                answer: .page(of: .named("TemplateRevision"))),
            Operation(
                method: "GET", path: one + "/revisions/{revision}", id: "getTemplateRevision",
                summary: "What it said then", answer: .data(.named("TemplateRevision"))),
        ])

    private static let all = "/v1/templates"
    private static let one = "/v1/templates/{template}"
    private static let own: [Schema.Field] = [
        .may("description", Schema.text(0...WriteTemplate.maxDescriptionBytes).described("In bytes."))
    ]
}
