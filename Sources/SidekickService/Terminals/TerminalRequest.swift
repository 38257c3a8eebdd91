package import ComputeCore
package import LinuxSystem

/// The body of `POST /terminals` with `pty: true`.
package struct TerminalRequest: Hashable, Sendable {
    package var shell: String?
    package var encoding: OutputEncoding
    /// Absolute, or relative to the compute's working directory; nil: that.
    package var directory: String?
    package var env: [String: String]
    package var size: TerminalSize

    /// What a terminal's variables may come to.
    private static let maxEnvBytes = 128 << 10

    /// - Throws: a 400 that names the field.
    package init(_ fields: FieldReader) throws(Problem) {
        func text(_ name: String) throws(Problem) -> String? {
            guard let text = try fields.string(name) else { return nil }
            guard !text.isEmpty, !text.utf8.contains(0) else {
                throw .invalid(name, "\(name) must not be empty or contain NUL")
            }
            return text
        }
        shell = try text("shell")
        directory = try text("cwd")
        env = try Self.env(fields)
        size = try TerminalSize(fields) ?? .standard
        encoding = try .named(fields.string("encoding"))
    }

    /// `env` of a terminal of either kind.
    static func env(_ fields: FieldReader) throws(Problem) -> [String: String] {
        let env = try fields.strings("env") ?? [:]
        try ProcessEnvironment.validate(env, field: fields.path("env"))
        guard env.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) <= maxEnvBytes else {
            throw .invalid("env", "env may have \(maxEnvBytes) bytes")
        }
        return env
    }
}

extension TerminalSize {
    /// `cols` and `rows`, which may come as floats.
    /// - Returns: nil when both are absent.
    init?(_ fields: FieldReader) throws(Problem) {
        func number(_ name: String) throws(Problem) -> Double? {
            try fields.number(name, in: -.greatestFiniteMagnitude ... .greatestFiniteMagnitude)
        }
        let columns = try number("cols")
        let rows = try number("rows")
        if columns == nil, rows == nil { return nil }
        guard let columns, let rows, let size = TerminalSize(clampingColumns: columns, rows: rows) else {
            let missing = fields.path(columns == nil ? "cols" : "rows")
            throw .invalid(missing, "\(missing) is required")
        }
        self = size
    }
}
