/// What a watcher tells of one path.
package struct FileChange: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        case add, change, unlink, addDir, unlinkDir

        /// There is a file now whose content may be of interest.
        var hasContent: Bool { self == .add || self == .change }
    }

    package let kind: Kind
    /// Below the watched directory; empty: that directory itself.
    package let path: String

    package init(_ kind: Kind, _ path: String) {
        self.kind = kind
        self.path = path
    }
}
