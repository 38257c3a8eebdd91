/// Output that nobody was there to see: the first prompt before anyone subscribed, or what came while a connection was
/// being made again. The newest part of it is kept.
package struct Backlog: Sendable {
    /// A few screens of scrollback.
    package static let maxBytes = 256 << 10

    private let maxBytes: Int
    private var texts: [String] = []
    private var bytes = 0
    private var dropped = 0

    package init(maxBytes: Int = Backlog.maxBytes) { self.maxBytes = maxBytes }

    package mutating func append(_ text: String) {
        texts.append(text)
        bytes += text.utf8.count
        var first = 0
        while bytes > maxBytes, first < texts.count {
            bytes -= texts[first].utf8.count
            dropped += texts[first].utf8.count
            first += 1
        }
        if first > 0 { texts.removeFirst(first) }
    }

    /// Everything kept and how much is missing before it; empty afterwards.
    package mutating func take() -> (texts: [String], dropped: Int) {
        let taken = (texts, dropped)
        self = Backlog(maxBytes: maxBytes)
        return taken
    }
}
