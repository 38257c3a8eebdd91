import ComputeCore

extension Area {
    static let groups = Area(
        name: "groups", text: "Tenants and their members.",
        operations: [
            Operation(
                method: "GET", path: base, id: "listGroups", summary: "The caller's",
                answer: .page(of: .named("Group"))),
            Operation(
                method: "POST", path: base, id: "createGroup", summary: "Make one, and its first key",
                body: .order([.must("name", name)]),
                answer: .data(Schema.named("Group").adding([.must("key", .named("NewKey"))])), refusals: [409, 429]),
            Operation(
                method: "GET", path: one, id: "getGroup", summary: "One", answer: .data(.named("Group"))),
            Operation(
                method: "PATCH", path: one, id: "renameGroup", summary: "Rename it",
                body: .order([.must("name", name)]),
                answer: .data(.named("Group"))),
            Operation(
                method: "DELETE", path: one, id: "deleteGroup", summary: "Delete it, with its members and keys",
                answer: .data(.object), refusals: [409]),
            Operation(
                method: "GET", path: quotas, id: "getQuotas", summary: "What it may have, and what it has",
                answer: .data(.named("Quotas"))),
            Operation(
                method: "PUT", path: quotas, id: "setQuotas",
                summary: "Say what a group, any group, may have; what is absent is as is usual",
                body: .order(Components.quotaFields), answer: .data(.named("Quotas"))),
            Operation(
                method: "GET", path: "/v1/usage", id: "getUsage", summary: "What it took, by day",
                parameters: [
                    .query("from", day, "The first day; 29 days before `to` when absent."),
                    .query("to", day, "The last day; today when absent."),
                    .query("group", .text, "Another group; for owners of the group `default`."),
                ], answer: .data(.named("Usage")), refusals: [404]),
            Operation(
                method: "GET", path: members, id: "listMembers", summary: "Who is in",
                parameters: [.cursor, .limit], answer: .page(of: .named("Member"))),
            Operation(
                method: "POST", path: members, id: "addMember", summary: "Let somebody in",
                body: .order([
                    .may("issuer", Schema.text(1...512).described("The server's own when absent.")),
                    .must("subject", Schema.text(1...255).described("The `sub` of the sign-ins.")),
                    .may("name", .text(0...128)), .must("role", Components.role),
                ]),
                answer: .data(.named("Member")), refusals: [409, 429]),
            Operation(
                method: "GET", path: member, id: "getMember", summary: "One", answer: .data(.named("Member"))),
            Operation(
                method: "PATCH", path: member, id: "changeMember", summary: "Give another role",
                body: .order([.must("role", Components.role)]), answer: .data(.named("Member")), refusals: [409]),
            Operation(
                method: "DELETE", path: member, id: "removeMember", summary: "Put out, with all that came of it",
                answer: .data(.object), refusals: [409]),
        ])

    private static let base = "/v1/groups"
    private static let one = base + "/{group}"
    private static let quotas = one + "/quotas"
    private static let members = one + "/members"
    private static let member = members + "/{member}"
    private static let day = Schema.text(10...10, pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    private static let name = Schema.text(1...128)
}
