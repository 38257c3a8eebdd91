import ComputeCore

package struct TerminalID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }

    package static func random() -> TerminalID { TerminalID("term_" + .randomLabel(length: 16)) }
    package var description: String { rawValue }

    /// Where its events go.
    package var channel: String { "terminal:\(rawValue)" }
}

/// A running terminal, as the API shows it.
package struct TerminalInfo: Sendable {
    package let id: TerminalID
    package let encoding: OutputEncoding
}
