/// How much of a file goes out at once. Every part costs some calls, which are dear in gVisor, and one must not take as long as
/// a peer may stand still: so parts grow while the peer takes them quickly.
package struct DownloadPace {
    package static let least: Int64 = 1 << 20
    package static let most: Int64 = 4 << 20
    private static let quick: Duration = .milliseconds(100)

    package private(set) var bytes = Self.least

    package init() {}

    /// The part of `whole` that begins at `offset`; empty behind its end.
    package func next(of whole: Range<Int64>, at offset: Int64) -> Range<Int64> {
        offset..<min(whole.upperBound, offset + bytes)
    }

    package mutating func sent(in duration: Duration) {
        bytes = duration < Self.quick ? min(bytes * 2, Self.most) : Self.least
    }
}
