import APIContract
import ComputeCore
import ComputeDomain

/// The shapes that more than one route has, by name.
enum Components {
    static let schemas: [String: Schema] = [
        "Problem": .object([
            .must("success", .boolean), .must("status", .word(["error"])),
            .must("error", Schema.text.described("What is wrong and what would be right.")),
            .must("message", Schema.text.described("The same text.")), .must("code", .text),
            .may("field", Schema.text.described("The path of the field that is at fault, if one is.")),
            .must("requestId", .text),
        ]),
        "Readiness": .object([
            .must("ready", .boolean), .must("idle", Schema.count.described("How many wait in the pool.")),
            .may("reasons", .list(of: .text)),
        ]),
        "Runtime": .object([
            .must("isolation", .text), .must("abilities", .list(of: .text)),
            .may("runsc", .object([.must("version", .text), .must("platform", .text), .must("network", .text)])),
            .may("cgroup", .text),
            .must("defaults", .object([.may("image", .text), .may("resources", .named("Resources"))])),
            .must("ceilings", .named("Resources")),
            .must("pool", .object([.must("target", .count), .must("idle", .count)])),
        ]),
        "Resources": .object([
            .may("cpus", .number), .may("memoryMiB", .count), .may("diskMiB", .count),
        ]),
        "Sandbox": .object([
            .must("sandboxId", .text), .must("url", Schema.text.described("Of what is inside; without a last slash.")),
            .may("token", Schema.text.described("Opens what is inside; only where somebody may, and not in lists.")),
            .must("provider", .text), .must("status", .word(SandboxStatus.allCases.map(\.rawValue))),
            .may("metadata", .object), .may("name", .text), .may("namespace", .text),
            .may(
                "filesystems",
                .list(
                    of: .object([
                        .must("filesystemId", .text), .must("name", .text), .must("path", .text),
                        .must("readOnly", .boolean),
                    ]))),
            .may(
                "network",
                Schema.object(network).described("Absent while it reaches all that the server lets it reach.")),
            .may("ports", ports.described("Absent while whoever knows their URLs reaches them.")),
            .may("templateId", Schema.text.described("What it was made from.")), .may("templateRevision", .count),
            .may(
                "lifecycle",
                Schema.object([.must("onExpiry", .text), .may("deleteAfterStopped", .count)]).described(
                    "What becomes of it when its time is over, where that is not only to be deleted.")),
            .must("createdAt", .time),
            .must(
                "expiresAt", Schema.time.described("When its time is over; while it is stopped, until when it is kept.")
            ),
            .may("endedAt", .time), .may("endReason", .text),
        ]),
        "CreateSandbox": createSandbox,
        "GivenSecret": givenSecret,
        "MountedFilesystem": mountedFilesystem,
        "Event": .object([
            .must("id", .text), .must("type", .text), .may("sandboxId", .text),
            .must("subject", Schema.text.described("What it happened to, such as `compute/<id>`.")),
            .must("timestamp", .time), .must("actor", .text), .may("requestId", .text), .must("data", .object),
        ]),
        "Webhook": webhook,
        "NewWebhook": webhook.adding([.must("secret", Schema.text.described("Signatures are made with it."))]),
        "Delivery": .object([
            .must("eventId", .text), .must("type", .text), .must("state", .word(["retrying", "dead"])),
            .must("attempts", .count), .may("nextAttemptAt", .time), .may("lastStatus", .count),
            .may("lastError", .text), .must("firstFailedAt", .time), .must("lastFailedAt", .time),
        ]),
        "Secret": .object([
            .must("name", .text), .must("version", .count), .must("createdAt", .time), .must("updatedAt", .time),
        ]),
        "Filesystem": .object([
            .must("filesystemId", .text), .must("name", .text), .must("sizeMiB", .count),
            .must(
                "attachments",
                .list(
                    of: .object([.must("sandboxId", .text), .must("path", .text), .must("readOnly", .boolean)]))),
            .must("createdAt", .time), .must("updatedAt", .time),
        ]),
        "Template": templateRevision.adding([.must("updatedAt", .time)]),
        "TemplateRevision": templateRevision,
        "Pool": .object([
            .must("poolId", .text), .must("name", .text), .must("templateId", .text),
            .may("templateRevision", Schema.count.described("Absent: the newest.")),
            .may("size", Schema.count.described("Absent where there are `min` and `max`.")), .may("min", .count),
            .may("max", .count), .must("autoscale", .boolean), .must("revision", .count), .must("createdAt", .time),
            .must("updatedAt", .time),
            .must(
                "status",
                .object([
                    .must("target", Schema.count.described("How many shall wait now.")), .must("idle", .count),
                    .must("starting", .count),
                    .must("health", .word(PoolView.Status.Health.allCases.map(\.rawValue))), .may("reason", .text),
                ])),
        ]),
        "Group": group,
        "Quotas": .object([
            .must("groupId", .text),
            .must("quotas", Schema.named("QuotaValues").described("What holds; what is absent has no limit.")),
            .must("own", Schema.named("QuotaValues").described("What was said for this group.")),
            .must("used", .named("QuotaValues")),
        ]),
        "Usage": .object([
            .must("groupId", .text), .must("from", .text), .must("to", .text),
            .must("days", .list(of: .object([.must("date", .text)] + usage))), .must("total", .object(usage)),
        ]),
        "QuotaValues": .object(
            Quota.allCases.map { .may($0.rawValue, $0.unit == 1 ? .count : .number) }),
        "Member": .object([
            .must("memberId", .text), .must("groupId", .text), .must("issuer", .text), .must("subject", .text),
            .must("role", role), .must("createdAt", .time), .may("name", .text), .may("lastUsedAt", .time),
        ]),
        "Key": key,
        "NewKey": key.adding([.must("key", Schema.text.described("The key itself; never shown again."))]),
        "Session": session,
        "NewSession": session.adding([.must("token", Schema.text.described("Never shown again."))]),
        "SigningKey": .object([
            .must("kid", .text), .must("state", .word(["announced", "signing", "retired"])), .must("from", .time),
        ]),
        "SessionToken": sessionToken,
    ]

    private static let usage: [Schema.Field] = [
        .must("computeSeconds", .number), .must("cpuSeconds", .number), .must("memoryMiBSeconds", .number),
    ]

    static let quotaFields: [Schema.Field] = Quota.allCases.map {
        .may($0.rawValue, $0.unit == 1 ? .integer(GroupQuotas.range) : .number(in: GroupQuotas.cpuRange))
    }

    static let role = Schema.word(Role.allCases.map(\.rawValue))
    static let scopes = Schema.list(of: .word(Scope.allCases.map(\.rawValue)))

    // MARK: - Computes

    static let name = Schema.text(1...63, pattern: "^[A-Za-z0-9][A-Za-z0-9._-]*$")

    static let createSandbox = Schema.order(
        [
            .may("name", name), .may("namespace", name),
            .may("templateId", Schema.text.described("Of a template, or its name: what is not said here it says.")),
            .may("templateRevision", Schema.integer(1...Int64.max).described("The newest when absent.")),
        ] + defaults)

    static let lifecycle = Schema.order([
        .may(
            "onExpiry",
            Schema.word(ComputeLifecycle.Expiry.allCases.map(\.rawValue)).described(
                "What becomes of it when its time is over; `delete` when absent.")),
        .may(
            "deleteAfterStopped",
            Schema.integer(ComputeLifecycle.keptRange).described(
                "So many milliseconds it is kept once it is stopped, or paused by the end of its time.")),
    ])

    /// What a template can say of a create.
    private static let defaults: [Schema.Field] = [
        .may("lifecycle", lifecycle),
        .may(
            "timeout",
            Schema.integer(CreateSandbox.timeoutRange).described("Lifetime in milliseconds; 900 000 when absent.")),
        .may("metadata", Schema.object.described("Comes back as it was; 16 KiB.")),
        .may("envs", Schema.map(of: .text, names: variable).described("Variables of all that runs inside; 64 KiB.")),
        .may("directory", Schema.text(1...CreateSandbox.maxDirectoryBytes).described("Without `..`; in bytes.")),
        .may("image", Schema.text(1...512).described("A reference in a registry.")),
        .may(
            "resources",
            .order([
                .may("cpus", .number(in: 0.1...1024)), .may("memoryMiB", .integer(64...(1 << 24))),
                .may("diskMiB", .integer(64...(1 << 24))),
            ])),
        .may("overlays", .list(of: .object, atMost: CreateSandbox.maxOfEach)),
        .may("servers", .list(of: .object, atMost: CreateSandbox.maxOfEach)),
        .may("secrets", .list(of: .named("GivenSecret"), atMost: GivenSecret.maxCount)),
        .may("filesystems", .list(of: .named("MountedFilesystem"), atMost: MountedFilesystem.maxCount)),
        .may("ports", ports.described("Who reaches them; `default` is for all others, and public when absent.")),
        .may(
            "network", Schema.order(network).described("What it may reach: less than the server lets it, never more.")),
    ]

    /// By number, and `default`.
    static let ports = Schema.map(of: port, names: portName)
    static let portChanges = Schema.map(of: port.orNull, names: portName)
    private static let port = Schema.object([.must("visibility", .word(PortVisibility.allCases.map(\.rawValue)))])
    private static let portName = Schema.text(1...7, pattern: "^(default|[1-9][0-9]{0,4})$")

    static let network: [Schema.Field] = [
        .may("internet", Schema.boolean.described("What neither list has; true when absent.")),
        .may("allowOut", Schema.list(of: block, atMost: NetworkPolicy.maxEntries).described("Wins over `denyOut`.")),
        .may("denyOut", .list(of: block, atMost: NetworkPolicy.maxEntries)),
    ]

    /// An address or a block of them.
    private static let block = Schema.text(2...43, pattern: "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$")

    static func template(_ own: [Schema.Field]) -> Schema { .order(own + defaults) }

    private static let templateRevision = Schema.object(
        [
            .must("templateId", .text), .must("name", .text), .may("description", .text), .must("revision", .count),
            .must("createdAt", .time),
        ] + defaults)

    private static let variable = Schema.text(1...256, pattern: "^[A-Za-z_][A-Za-z0-9_]*$")

    private static let givenSecret = Schema.order([
        .must("name", secretName), .may("version", .integer(1...Int64.max)),
        .may("env", variable.described("This or `path`.")),
        .may("path", Schema.text(1...AbsolutePath.maxBytes).described("Absolute.")),
        .may("mode", Schema.text(3...4, pattern: "^[0-7]+$").described("Of the file, in octal digits.")),
    ])

    private static let mountedFilesystem = Schema.order([
        .may("name", name), .may("filesystemId", Schema.text.described("This or `name`.")),
        .must("path", Schema.text(1...AbsolutePath.maxBytes).described("Absolute; in bytes.")),
        .may("readOnly", Schema.boolean.described("A writer has it alone; false when absent.")),
    ])

    static let secretName = Schema.text(1...SecretName.maxBytes, pattern: "^[A-Za-z0-9][A-Za-z0-9._-]*$")

    // MARK: - What is made and what it is later

    private static let webhook = Schema.object([
        .must("id", .text), .must("url", .text), .must("types", .list(of: .text)), .may("description", .text),
        .must("active", .boolean), .may("disabledReason", .text), .must("createdAt", .time),
        .must("updatedAt", .time),
        .may("deliveries", .object([.must("retrying", .count), .must("dead", .count)])),
    ])

    private static let group = Schema.object([
        .must("groupId", .text), .must("name", .text), .must("createdAt", .time),
    ])

    private static let powers: [Schema.Field] = [
        .must("groupId", .text), .must("role", role), .must("createdAt", .time), .may("scopes", scopes),
        .may("expiresAt", .time), .may("lastUsedAt", .time),
    ]

    private static let key = Schema.object(
        powers + [
            .must("keyId", .text), .must("label", .text), .must("prefix", .text), .may("memberId", .text),
            .may("overlapUntil", .time),
        ])

    private static let session = Schema.object(
        powers + [.must("sessionId", .text), .must("owner", .text), .may("description", .text)])

    private static let sessionToken = Schema.object([
        .must("id", .text), .may("token", .text), .may("description", .text), .must("createdAt", .time),
        .must("expiresAt", .time), .must("expiresIn", Schema.count.described("Seconds.")), .may("lastUsedAt", .time),
    ])
}
