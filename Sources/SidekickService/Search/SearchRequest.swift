import ComputeCore

/// What `POST /files/search` and `/files/find` look for, and how far they go.
struct SearchRequest: Sendable {
    enum Kind: String, Sendable { case file, directory, symlink }

    let path: FilePath
    /// nil: names are looked for, not content.
    let pattern: LinePattern?
    let glob: GlobSet
    let ignore: GlobSet
    let kind: Kind?
    let maxResults: Int
    let context: Int
    let timeout: Duration

    init(_ fields: FieldReader, directory: String, isContentSearched: Bool) throws(Problem) {
        let text = try fields.string("path") ?? ""
        path = try FilePath(text.isEmpty ? "." : text, directory: directory)
        glob = try fields.globs("glob")
        ignore = try fields.globs("ignore")
        maxResults = Int(try fields.integer("max_results", in: 1...100_000) ?? 1000)
        timeout = .milliseconds(try fields.integer("timeout_ms", in: 10...60_000) ?? 10_000)
        context = Int(try fields.integer("context", in: 0...10) ?? 0)
        switch try fields.string("type") {
        case nil: kind = nil
        case let name?:
            guard let known = Kind(rawValue: name) else {
                throw .invalid("type", "type must be \"file\", \"directory\" or \"symlink\"")
            }
            kind = known
        }
        guard isContentSearched else {
            guard try fields.string("pattern") == nil else {
                throw .invalid("pattern", "names are found by glob; search takes a pattern")
            }
            self.pattern = nil
            return
        }
        self.pattern = try LinePattern(
            try fields.requiredString("pattern"), isRegex: try fields.bool("regex") ?? false,
            ignoringCase: !(try fields.bool("case_sensitive") ?? true))
    }
}

struct SearchResult: Sendable {
    struct Line: Sendable {
        /// From 1.
        let number: Int
        let text: String
        /// Of the match within the text, in bytes from 1, and its length.
        let column: Int
        let length: Int
        let before: [String]
        var after: [String] = []
    }

    /// Relative to where the search began.
    let path: String
    let size: Int64
    let kind: SearchRequest.Kind
    let line: Line?
}

struct SearchSummary: Sendable {
    enum Limit: String, Sendable { case time, results }
    var results = 0
    var files = 0
    var skipped = 0
    var limit: Limit?
}
