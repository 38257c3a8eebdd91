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
    package let targetPath: String
    package let ignores: GlobSet
    package let strategy: Strategy

    package init(_ fields: FieldReader, directory: String) throws(Problem) {
        let source = try fields.requiredString("source")
        guard source.hasPrefix("/") else { throw .invalid(fields.path("source"), "source must be an absolute path") }
        self.source = try Self.path(source, "/", fields.path("source"))
        let target = try fields.requiredString("target")
        guard !target.hasPrefix("/") else {
            throw .invalid(fields.path("target"), "target must be relative to the working directory")
        }
        self.target = target
        targetPath = try Self.path(target, directory, fields.path("target"))
        ignores = try fields.globs("ignore")
        let name = try fields.string("strategy") ?? Strategy.smart.rawValue
        guard let strategy = Strategy(rawValue: name) else {
            throw .invalid(fields.path("strategy"), "strategy must be copy or smart")
        }
        self.strategy = strategy
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
        ".cache",
        ".pnpm-store", ".yarn", "__pycache__", "site-packages",
    ]
}

package struct OverlayID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }
    package static func random() -> OverlayID { OverlayID("overlay_" + .randomLabel(length: 16)) }
    package var description: String { rawValue }
}
