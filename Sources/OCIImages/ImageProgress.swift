/// How far the work on an image is.
package struct ImageProgress: Sendable, Hashable {
    /// A few words: `downloading packages`.
    package var phase: String
    /// 0 to 1 of this phase; nil where it cannot be known.
    package var fraction: Double?

    package init(_ phase: String, fraction: Double? = nil) {
        self.phase = phase
        self.fraction = fraction
    }

    package typealias Report = @Sendable (ImageProgress) -> Void
}
