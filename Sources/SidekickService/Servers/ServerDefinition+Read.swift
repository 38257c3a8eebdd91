package import ComputeCore

extension ServerDefinition {
    private static let maxCommandBytes = 64 << 10
    private static let maxEnvironmentBytes = 1 << 20
    private static let maxDependencies = 32
    /// An hour: whoever means never says a restart policy.
    private static let maxMilliseconds: Int64 = 3_600_000

    /// Reads the body of `POST /servers`. Unknown fields are ignored: clients send some of their own.
    /// - Throws: a 400 that names the field.
    package static func read(
        _ fields: FieldReader, directory: String
    ) throws(Problem) -> ServerDefinition {
        let slug = try fields.requiredString("slug")
        guard isSlug(slug) else {
            throw .invalid(
                fields.path("slug"),
                "\(fields.path("slug")) must have 1 to 63 letters, digits, '-', '_' or '.', a letter or digit first")
        }
        let command = try text(fields, "command")
        guard let start = try text(fields, "start") ?? command else {
            throw .invalid(fields.path("start"), "\(fields.path("start")) is required")
        }
        let path = try text(fields, "path")
        var definition = ServerDefinition(slug: slug, start: start, directory: directory)
        if let path {
            do throws(Problem) {
                definition.directory = try FilePath(path, directory: directory).absolute
            } catch {
                throw .invalid(fields.path("path"), error.message)
            }
        }
        definition.originalPath = path
        definition.install = try text(fields, "install")
        definition.envFile = try text(fields, "env_file")
        definition.environment = try fields.strings("environment") ?? [:]
        try ProcessEnvironment.validate(definition.environment, field: fields.path("environment"))
        guard
            definition.environment.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) <= maxEnvironmentBytes
        else {
            throw .invalid(
                fields.path("environment"),
                "\(fields.path("environment")) is longer than \(maxEnvironmentBytes) bytes")
        }
        definition.port = try fields.integer("port", in: 1...65535).map(Int.init)
        if let port = definition.port, let own = definition.environment["PORT"], own != "\(port)" {
            let name = fields.path("environment.PORT")
            throw .invalid(name, "\(name) is \(own), and \(fields.path("port")) \(port): leave one of them out")
        }
        definition.strictPort = try fields.bool("strict_port") ?? false
        if definition.strictPort, definition.port == nil {
            throw .invalid(fields.path("port"), "\(fields.path("port")) is required with strict_port")
        }
        definition.autostart = try fields.bool("autostart") ?? true
        definition.dependsOn = try dependencies(fields, of: slug)
        if let name = try fields.string("restart_policy") {
            guard let policy = RestartPolicy(rawValue: name) else {
                throw .invalid(
                    fields.path("restart_policy"),
                    "\(fields.path("restart_policy")) must be never, on-failure or always")
            }
            definition.restartPolicy = policy
        }
        func number(_ name: String, _ range: ClosedRange<Int64>, _ fields: FieldReader) throws(Problem) -> Int? {
            try fields.integer(name, in: range).map(Int.init)
        }
        definition.maxRestarts = try number("max_restarts", 0...1_000_000, fields) ?? 0
        definition.restartDelayMilliseconds = max(
            try number("restart_delay_ms", 0...maxMilliseconds, fields) ?? 1000,
            Int(ServerMachine.minDelay.wholeMilliseconds))
        // Five minutes: a stop is waited for.
        definition.stopTimeoutMilliseconds = try number("stop_timeout_ms", 0...300_000, fields) ?? 10_000
        if let object = try fields.object("health_check") {
            let fields = FieldReader(object, prefix: fields.path("health_check"))
            var check = HealthCheck()
            check.path = try target(fields) ?? check.path
            check.intervalMilliseconds =
                try number("interval_ms", 100...maxMilliseconds, fields) ?? check.intervalMilliseconds
            check.timeoutMilliseconds = try number("timeout_ms", 10...60_000, fields) ?? check.timeoutMilliseconds
            check.delayMilliseconds = try number("delay_ms", 0...maxMilliseconds, fields) ?? check.delayMilliseconds
            definition.healthCheck = check
        }
        return definition
    }

    /// Safe in a path, a channel's name and a file's.
    package static func isSlug(_ text: String) -> Bool {
        func isPlain(_ byte: UInt8) -> Bool {
            byte.isLowercaseLetter || byte.isDigit || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
        }
        guard (1...63).contains(text.utf8.count), let first = text.utf8.first, isPlain(first) else { return false }
        return text.utf8.allSatisfy {
            isPlain($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
        }
    }

    private static func text(_ fields: FieldReader, _ name: String) throws(Problem) -> String? {
        guard let text = try fields.string(name) else { return nil }
        guard !text.isEmpty, !text.utf8.contains(0) else {
            throw .invalid(fields.path(name), "\(fields.path(name)) must not be empty or contain NUL")
        }
        guard text.utf8.count <= maxCommandBytes else {
            throw .invalid(fields.path(name), "\(fields.path(name)) is longer than \(maxCommandBytes) bytes")
        }
        return text
    }

    private static func dependencies(_ fields: FieldReader, of slug: String) throws(Problem) -> [String] {
        guard let values = try fields.array("depends_on") else { return [] }
        guard values.count <= maxDependencies else {
            throw .invalid(fields.path("depends_on"), "\(fields.path("depends_on")) names more than \(maxDependencies)")
        }
        var names: [String] = []
        for value in values {
            // Neither a slug nor an overlay's id is longer.
            guard case .string(let name) = value, (1...63).contains(name.utf8.count) else {
                throw .invalid(fields.path("depends_on"), "\(fields.path("depends_on")) must be a list of names")
            }
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// What is asked for in a health check: the path part of a request, as it goes over the wire.
    private static func target(_ fields: FieldReader) throws(Problem) -> String? {
        guard let path = try text(fields, "path") else { return nil }
        guard path.hasPrefix("/"), path.utf8.count <= 2048, path.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .invalid(
                fields.path("path"), "\(fields.path("path")) must begin with / and have printable characters only")
        }
        return path
    }
}
