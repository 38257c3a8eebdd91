/// An image that is whole on this machine's disk.
package struct StoredImage: Sendable, Hashable, Codable {
    /// `sha256:` + 64 hexadecimal digits: of the manifest, or of the recipe for the base image.
    package var digest: String
    /// The folder with its files. Never written to: many may stand on it at once.
    package var rootfs: String
    /// `NAME=value`, as the image has them.
    package var environment: [String]
    /// Absolute, or empty where the image names none.
    package var workingDirectory: String
    /// As the image says it: name or number, with or without a group.
    package var user: String?
    package var entrypoint: [String]
    package var command: [String]
    /// What its files take on disk.
    package var sizeBytes: Int64
    /// What it was first asked for by.
    package var reference: String
}
