/// Which ports have been opened and closed since the last look. A value.
package struct PortChanges: Sendable {
    package enum Change: Hashable, Sendable {
        case opened(Int)
        case closed(Int)
    }

    private var open: Set<Int> = []

    package init() {}

    /// - Returns: the closed ones first, each in order: a server that moved is told of as gone before it is there again.
    package mutating func observed(_ ports: Set<Int>) -> [Change] {
        defer { open = ports }
        return open.subtracting(ports).sorted().map(Change.closed) + ports.subtracting(open).sorted().map(Change.opened)
    }
}
