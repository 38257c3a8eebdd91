import ComputeCore

/// A command that is kept track of.
package struct CommandID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }

    package static func random() -> CommandID { CommandID("cmd_" + .randomLabel(length: 16)) }
    package var description: String { rawValue }

    /// Where its events go.
    package var channel: String { "command:\(rawValue)" }
}
