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

    /// - Throws: a 400 that names the field.
    package init(_ fields: FieldReader) throws(Problem) {
        guard try fields.bool("pty") == true else {
            throw Problem(
                status: 400, code: .unsupportedField,
                message: "only pty: true is supported yet; run single commands with POST /run/command", field: "pty")
        }
        func text(_ name: String) throws(Problem) -> String? {
            guard let text = try fields.string(name) else { return nil }
            guard !text.isEmpty, !text.utf8.contains(0) else {
                throw .invalid(name, "\(name) must not be empty or contain NUL")
            }
            return text
        }
        shell = try text("shell")
        directory = try text("cwd")
        env = try fields.strings("env") ?? [:]
        try ProcessEnvironment.validate(env, field: fields.path("env"))
        size = try TerminalSize(fields) ?? .standard
        encoding = try .named(fields.string("encoding"))
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
