package import ComputeCore

/// What `POST /watchers` asks for.
package struct WatchRequest: Sendable {
    /// Absolute.
    package let path: String
    package let includesContent: Bool
    /// As it was written, to be shown again.
    package let ignored: [String]
    package let ignores: GlobSet
    package let encoding: OutputEncoding

    package init(_ fields: FieldReader, directory: String) throws(Problem) {
        let path = try FilePath(try fields.requiredString("path"), directory: directory).absolute
        self.path = path
        includesContent = try fields.bool("includeContent") ?? false
        encoding = try OutputEncoding.named(fields.string("encoding"))
        ignored = try Self.patterns(fields)
        // People write them with the watched directory in front, as for other watchers.
        let prefix = path == "/" ? "/" : path + "/"
        let patterns = ignored.map { $0.hasPrefix(prefix) ? "/" + $0.dropFirst(prefix.count) : $0 }
        ignores = try GlobSet(patterns, field: "ignored")
    }

    private static func patterns(_ fields: FieldReader) throws(Problem) -> [String] {
        if case .string(let one)? = fields.value("ignored") { return [one] }
        var patterns: [String] = []
        for value in try fields.array("ignored") ?? [] {
            guard case .string(let text) = value else {
                throw .invalid("ignored", "ignored must be an array of strings")
            }
            patterns.append(text)
        }
        return patterns
    }
}

package struct WatcherID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }

    package static func random() -> WatcherID { WatcherID("watch_" + .randomLabel(length: 16)) }
    package var description: String { rawValue }

    /// Where its events go.
    package var channel: String { "watcher:\(rawValue)" }
}

/// A watcher, as the API shows it.
package struct WatcherInfo: Sendable {
    package let id: WatcherID
    package let request: WatchRequest
    /// How many directories are watched.
    package var directories = 0
    /// Why not everything is told; nil: everything is.
    package var degradation: WatchTree.Degradation?
}

extension WatchTree.Degradation {
    package var message: String {
        switch self {
        case .directories:
            "too many directories: only those nearest to the top are watched; add what needs no watching to `ignored`"
        case .entries: "too many files: not all of them are watched; add what needs no watching to `ignored`"
        case .kernel:
            "the kernel watches no more directories (fs.inotify.max_user_watches): only those nearest to the top are watched"
        }
    }
}
