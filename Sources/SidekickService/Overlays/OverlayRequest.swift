package import ComputeCore

/// What `POST /filesystem/overlays` asks for.
package struct OverlayRequest: Sendable {
    package enum Strategy: String, Sendable {
        /// All of it before the answer.
        case copy
        /// Large directories after it.
        case smart
    }

    /// Absolute.
    package let source: String
    /// As it was written: below the working directory.
    package let target: String
    package private(set) var targetPath: String
    package let ignores: GlobSet
    package let strategy: Strategy
    /// Reads as the same request again.
    let document: JSONValue
    /// Where `source` and `target` stand in what was asked.
    let fields: (source: String, target: String)

    package init(_ fields: FieldReader, directory: String) throws(Problem) {
        let names = (source: fields.path("source"), target: fields.path("target"))
        let source = try fields.requiredString("source")
        guard source.hasPrefix("/") else { throw .invalid(names.source, "\(names.source) must be an absolute path") }
        self.source = try Self.path(source, "/", names.source)
        let target = try fields.requiredString("target")
        guard !target.hasPrefix("/") else {
            throw .invalid(names.target, "\(names.target) must be relative to the working directory")
        }
        self.target = target
        targetPath = try Self.path(target, directory, names.target)
        self.fields = names
        ignores = try fields.globs("ignore")
        let name = try fields.string("strategy") ?? Strategy.smart.rawValue
        guard let strategy = Strategy(rawValue: name) else {
            throw .invalid(fields.path("strategy"), "\(fields.path("strategy")) must be copy or smart")
        }
        self.strategy = strategy
        document = .object([
            "source": .string(source), "target": .string(target), "ignore": fields.value("ignore") ?? .null,
            "strategy": .string(name),
        ])
    }

    func isSame(as other: OverlayRequest) -> Bool { document == other.document && targetPath == other.targetPath }

    func into(_ targetPath: String) -> OverlayRequest {
        var request = self
        request.targetPath = targetPath
        return request
    }

    private static func path(_ text: String, _ directory: String, _ field: String) throws(Problem) -> String {
        do throws(Problem) {
            return try FilePath(text, directory: directory).absolute
        } catch {
            throw .invalid(field, error.message)
        }
    }

    /// Directories that hold much and are needed late: what package managers and builds leave behind.
    static func isLarge(_ path: String) -> Bool {
        largeNames.contains(path.split(separator: "/").last ?? "")
    }

    private static let largeNames: Set<Substring> = [
        "node_modules", ".git", ".venv", "venv", "vendor", "target", "dist", "build", ".build", ".next", ".nuxt",
        ".cache", ".pnpm-store", ".yarn", "__pycache__", "site-packages",
    ]
}

package struct OverlayID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }
    package static func random() -> OverlayID { OverlayID("overlay_" + .randomLabel(length: 16)) }
    package var description: String { rawValue }
}
