/// A path below some directory that came from outside, such as an archive: no way of spelling leads out of it.
package struct TreePath: Hashable, Sendable {
    package let components: [[UInt8]]

    /// nil: absolute, with a `..` or a NUL, or longer than the kernel takes.
    ///
    /// `.` and empty components are dropped; what remains may be nothing, the directory itself.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.first != UInt8(ascii: "/"), bytes.count < 4096 else { return nil }
        var components: [[UInt8]] = []
        for part in bytes.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(".".utf8) {
            guard !part.elementsEqual("..".utf8), !part.contains(0), part.count <= 255 else { return nil }
            components.append(Array(part))
        }
        guard components.count <= TreeWalk.maxDepth else { return nil }
        self.components = components
    }

    package var isRoot: Bool { components.isEmpty }
    package var text: String {
        String(decoding: Array(components.joined(separator: [UInt8(ascii: "/")])), as: UTF8.self)
    }
    package var parent: [[UInt8]] { components.dropLast() }

    /// Whether a link at this place with that target leads to a place inside the directory (as its text says; what is on
    /// the way may be a link too).
    package func linkStaysInside(_ target: [UInt8]) -> Bool {
        guard target.first != UInt8(ascii: "/"), !target.contains(0) else { return false }
        var depth = components.count - 1
        for part in target.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(".".utf8) {
            depth += part.elementsEqual("..".utf8) ? -1 : 1
            guard depth >= 0 else { return false }
        }
        return true
    }
}
