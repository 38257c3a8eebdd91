package import ComputeCore

/// Which secret a ciphertext belongs to. Bound into it, so that a row copied to another group, name or version
/// does not open there.
package struct SecretPlace: Hashable, Sendable {
    package var group: GroupID
    package var name: String
    package var version: Int64

    package init(group: GroupID, name: String, version: Int64) {
        self.group = group
        self.name = name
        self.version = version
    }

    /// Each part with its length before it: two different places never have the same bytes.
    func bytes(for purpose: String, _ more: String = "") -> [UInt8] {
        [purpose, more, group.rawValue, name, String(version)].flatMap { part in
            let text = Array(part.utf8)
            return Array("\(text.count):".utf8) + text
        }
    }
}
