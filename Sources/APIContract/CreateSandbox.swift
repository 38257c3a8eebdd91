package import ComputeCore

/// The body of `POST /v1/sandboxes`, checked. Field names and limits are the wire's.
package struct CreateSandbox: Hashable, Sendable {
    /// The lifetime; nil: the default.
    package var timeout: Duration?
    package var metadata: [String: JSONValue]?
    package var envs: [String: String]
    package var name: SandboxName?
    package var directory: String?
    /// A reference to an image in a registry; nil: the server's own.
    package var image: String?
    /// nil: the server's own size.
    package var resources: ComputeResources?
    /// Each as in a create of one at the Sidekick, which alone knows their fields.
    package var overlays: [JSONValue] = []
    package var servers: [JSONValue] = []
    /// Which of the group's secrets it gets.
    package var secrets: [GivenSecret] = []
    /// Which of the group's filesystems it mounts.
    package var filesystems: [MountedFilesystem] = []
    /// What it may reach; nil: all that the server lets it reach.
    package var network: NetworkPolicy?
    /// Who reaches its ports; nil: whoever knows their URLs.
    package var ports: PortAccess?
    /// What becomes of it when its time is over.
    package var lifecycle = ComputeLifecycle()
    /// What it is to be made from, of which nothing is in the other fields yet.
    package var template: TemplateUse?
    /// What it was made from, of which everything is in the other fields.
    package var usedTemplate: UsedTemplate?

    package init(
        timeout: Duration? = nil, metadata: [String: JSONValue]? = nil, envs: [String: String] = [:],
        name: SandboxName? = nil, directory: String? = nil, image: String? = nil, resources: ComputeResources? = nil
    ) {
        self.timeout = timeout
        self.metadata = metadata
        self.envs = envs
        self.name = name
        self.directory = directory
        self.image = image
        self.resources = resources
    }

    /// One second to seven days, in milliseconds.
    package static let timeoutRange: ClosedRange<Int64> = 1000...604_800_000
    /// The environment travels to the Sidekick in one POST and then to every command: well below ARG_MAX.
    package static let maxEnvBytes = 64 * 1024
    /// Metadata is in an event and in a row of every list.
    package static let maxMetadataBytes = 16 * 1024
    package static let maxDirectoryBytes = 1024
    /// As many as a Sidekick takes of each.
    package static let maxOfEach = 32
    /// Like the environment, they travel in the one POST.
    package static let maxSetupBytes = 64 * 1024

    /// What this version cannot honour. Refused by name when it asks for something: a caller who was given less
    /// than he asked for in silence finds out in production.
    static let unsupportedFields = [
        "template", "snapshotId", "runtime", "volumes",
    ]

    package init(_ document: JSONValue) throws(Problem) {
        try self.init(FieldReader(document), nameIsRequired: false)
    }

    /// - Parameter nameIsRequired: for find-or-create.
    package init(_ fields: FieldReader, nameIsRequired: Bool) throws(Problem) {
        for field in Self.unsupportedFields {
            guard let value = fields.value(field), !value.asksForNothing else { continue }
            throw .unsupported(field)
        }
        timeout = try fields.integer("timeout", in: Self.timeoutRange).map { .milliseconds($0) }
        metadata = try fields.object("metadata")
        if let metadata { try Self.check(metadata: metadata) }
        envs = try fields.strings("envs") ?? [:]
        try Self.check(envs: envs)
        name = try SandboxName(fields, nameIsRequired: nameIsRequired)
        directory = try fields.string("directory")
        if let directory { try Self.check(directory: directory) }
        image = try fields.string("image")
        if let image { try Self.check(image: image) }
        let size = try fields.object("resources").map { (size) throws(Problem) in
            try ComputeResources(size.filter { $0.value != .null }, prefix: "resources")
        }
        resources = size == ComputeResources() ? nil : size
        overlays = try Self.objects("overlays", fields)
        servers = try Self.objects("servers", fields)
        secrets = try GivenSecret.list(fields, besides: envs.keys)
        filesystems = try MountedFilesystem.list(fields)
        network = try Self.network(fields)
        ports = try Self.ports(fields)
        try checkThatNoFilesystemKeepsASecret()
        lifecycle = try LifecycleOrder(fields)?.made ?? ComputeLifecycle()
        template = try TemplateUse(fields)
    }

    /// A file that a compute is given for its life would stay in what outlives it.
    private func checkThatNoFilesystemKeepsASecret() throws(Problem) {
        for (index, secret) in secrets.enumerated() {
            guard case .file(let path, _) = secret.form, filesystems.contains(where: { $0.holds(path) }) else {
                continue
            }
            throw .invalid("secrets[\(index)].path", "secrets[\(index)].path lies in a filesystem, which would keep it")
        }
    }

    private static func network(_ fields: FieldReader) throws(Problem) -> NetworkPolicy? {
        let policy = try fields.object("network").map { (order) throws(Problem) in
            try NetworkPolicy(order, prefix: "network")
        }
        return policy?.isOpen == true ? nil : policy
    }

    /// What clients of other services send of the ports that shall be open. All are here, where nothing else is said.
    static func isListOfPorts(_ value: JSONValue?) -> Bool {
        guard case .array(let numbers)? = value else { return false }
        return numbers.allSatisfy { if case .int(1...65535) = $0 { true } else { false } }
    }

    private static func ports(_ fields: FieldReader) throws(Problem) -> PortAccess? {
        guard !isListOfPorts(fields.value("ports")) else { return nil }
        let changes = try fields.object("ports").map { (order) throws(Problem) in
            try PortChanges(order, prefix: "ports")
        }
        guard let access = changes?.applied(to: .open), access != .open else { return nil }
        guard access.ports.count <= PortAccess.maxPorts else {
            throw .invalid("ports", "ports holds more than \(PortAccess.maxPorts)")
        }
        return access
    }

    /// What the Sidekick does right after the claim.
    package var setup: JSONValue? {
        guard !overlays.isEmpty || !servers.isEmpty else { return nil }
        return .object(["overlays": .array(overlays), "servers": .array(servers)])
    }

    private static func objects(_ name: String, _ fields: FieldReader) throws(Problem) -> [JSONValue] {
        _ = try fields.objects(name, atMost: maxOfEach)
        let list = try fields.array(name) ?? []
        guard JSONValue.array(list).roughSize <= maxSetupBytes else {
            throw .invalid(name, "\(name) must be at most \(maxSetupBytes) bytes of JSON")
        }
        return list
    }

    /// Who may create computes may not name folders of the server. The runtime reads the rest of the reference.
    private static func check(image: String) throws(Problem) {
        let bytes = image.utf8
        let isReference =
            (1...512).contains(bytes.count) && bytes.first.map(\.isASCIIAlphanumeric) == true
            && bytes.allSatisfy { $0.isASCIIAlphanumeric || "._-:/@".utf8.contains($0) }
        guard isReference, !image.hasPrefix("oci:"), !image.contains("://"), !image.contains(":/") else {
            throw .invalid("image", "image must name an image in a registry, such as python:3.12-slim")
        }
    }

    static func check(metadata: [String: JSONValue]) throws(Problem) {
        let document = JSONValue.object(metadata)
        guard document.roughSize <= maxMetadataBytes else {
            throw .invalid("metadata", "metadata must be at most \(maxMetadataBytes) bytes of JSON")
        }
        // PostgreSQL's jsonb has no place for it, and nobody means it.
        guard !document.containsNUL else { throw .invalid("metadata", "metadata must not contain NUL characters") }
    }

    private static func check(envs: [String: String]) throws(Problem) {
        var size = 0
        for (name, value) in envs {
            let bytes = name.utf8
            guard let first = bytes.first, first.isNameByte, !first.isDigit, bytes.allSatisfy(\.isNameByte) else {
                throw .invalid("envs", "envs has a name that is not of the form [A-Za-z_][A-Za-z0-9_]*")
            }
            // The name is safe to show, the value never is.
            guard !value.utf8.contains(0) else {
                throw .invalid("envs.\(name.prefix(64))", "envs.\(name.prefix(64)) must not contain NUL characters")
            }
            size += bytes.count + value.utf8.count + 2
        }
        guard size <= maxEnvBytes else {
            throw .invalid("envs", "envs must be at most \(maxEnvBytes) bytes of names and values")
        }
    }

    private static func check(directory: String) throws(Problem) {
        guard !directory.isEmpty, directory.utf8.count <= maxDirectoryBytes else {
            throw .invalid("directory", "directory must be 1 to \(maxDirectoryBytes) bytes long")
        }
        guard !directory.utf8.contains(0) else {
            throw .invalid("directory", "directory must not contain NUL characters")
        }
        guard !directory.split(separator: "/").contains("..") else {
            throw .invalid("directory", "directory must not contain ..")
        }
    }
}

/// What names a compute within a group: `POST /v1/sandboxes/find`, and part of a create.
package struct SandboxName: Hashable, Sendable {
    package static let defaultNamespace = "default"

    package var namespace: String
    package var name: String

    package init(namespace: String = defaultNamespace, name: String) {
        self.namespace = namespace
        self.name = name
    }

    /// nil when there is no name and none is required; a namespace alone names nothing.
    package init?(_ fields: FieldReader, nameIsRequired: Bool) throws(Problem) {
        let namespace = try fields.string("namespace")
        if let namespace { try Self.check("namespace", namespace) }
        guard let name = nameIsRequired ? try fields.requiredString("name") : try fields.string("name") else {
            return nil
        }
        try Self.check("name", name)
        self.init(namespace: namespace ?? Self.defaultNamespace, name: name)
    }

    package static func check(_ field: String, _ text: String) throws(Problem) {
        let bytes = text.utf8
        guard (1...63).contains(bytes.count), let first = bytes.first, first.isASCIIAlphanumeric,
            bytes.allSatisfy({ $0.isASCIIAlphanumeric || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D })
        else {
            throw .invalid(
                field,
                "\(field) must be 1 to 63 characters of A-Z a-z 0-9 . _ - and start with a letter or digit")
        }
    }
}

/// The body of `POST …/{id}/extend`.
package struct ExtendSandbox: Hashable, Sendable {
    package static let defaultDuration: Duration = .milliseconds(900_000)
    package var duration: Duration

    package init(_ document: JSONValue) throws(Problem) {
        let fields = try FieldReader(document)
        // The field of a create: ignoring it would extend by the default in silence.
        guard fields.value("timeout") == nil else {
            throw Problem(
                status: 400, code: .unsupportedField, message: "extend takes duration (milliseconds), not timeout",
                field: "timeout")
        }
        let milliseconds = try fields.integer("duration", in: CreateSandbox.timeoutRange)
        duration = milliseconds.map { .milliseconds($0) } ?? Self.defaultDuration
    }
}

extension Problem {
    /// Refused by name: whoever was given less than he asked for in silence finds out in production.
    static func unsupported(_ field: String) -> Problem {
        Problem(
            status: 400, code: .unsupportedField, message: "\(field) is not supported by this server", field: field)
    }
}

extension JSONValue {
    /// An empty list or object: the client's serializer wrote a default, nobody asked for anything.
    var asksForNothing: Bool {
        switch self {
        case .array(let values): values.isEmpty
        case .object(let fields): fields.isEmpty
        case .null: true
        case .bool, .int, .double, .string: false
        }
    }

    var containsNUL: Bool {
        switch self {
        case .null, .bool, .int, .double: false
        case .string(let text): text.utf8.contains(0)
        case .array(let values): values.contains(where: \.containsNUL)
        case .object(let fields): fields.contains { $0.key.utf8.contains(0) || $0.value.containsNUL }
        }
    }
}

extension UInt8 {
    fileprivate var isASCIIAlphanumeric: Bool {
        isDigit || isLowercaseLetter || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
    }
    var isNameByte: Bool { isASCIIAlphanumeric || self == UInt8(ascii: "_") }
}
