/// What one image may cost this machine.
package struct ImageLimits: Sendable {
    /// On disk, while it is fetched (compressed and unpacked) and when it is whole. The largest images in wide use
    /// (machine learning with CUDA) unpack to about 20 GiB.
    package var sizeBytes: Int64 = 24 << 30
    /// Files and folders. Full desktop images have about 400 000.
    package var entries = 1_000_000
    /// What is left free on the disk, so that an image never takes the last byte from a database beside it.
    package var freeBytes: Int64 = 1 << 30
    /// For all of it, from the first question to the registry.
    package var duration: Duration = .seconds(1800)
    /// Fetched at once by all processes of this machine; further ones wait.
    package var concurrency = 3

    package init() {}
}
