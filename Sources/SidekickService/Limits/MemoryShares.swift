/// What the Sidekick may keep in memory for its clients, in bytes. The compute's memory is there for the user's programs, and what
/// is kept of their output counts against it: all of this together, at its fullest, stays below a quarter.
///
/// A compute that has enough gets the figures that serve people best. A smaller one gets the same share of each of them, so that
/// what is generous and what is spare stay in proportion. Only outputs of foreground commands take a fixed part of whatever there
/// is, since one of them alone may be large.
package struct MemoryShares: Hashable, Sendable {
    /// Of the compute's memory.
    package static let largestPart = 1.0 / 4
    private static let foregroundPart = 1.0 / 32

    /// What the outputs of all foreground commands borrow from.
    package let foregroundOutput: Int
    /// What each foreground command may have beside: few words get through, also while others hold all of it.
    package let foregroundOwn: Int
    package let commands: CommandLimits
    /// What ended commands and terminals leave for their readers.
    package let lingering: Int
    /// Of the output of one terminal: thousands of lines of scrollback.
    package let terminal: Int
    /// Of each stream of one server; both together have as much again.
    package let serverStream: Int

    /// - Parameter memoryLimit: of the compute; nil: it has none of its own.
    package init(memoryLimit: Int?) {
        guard let memoryLimit else {
            self.init(scale: 1, foregroundOutput: 64 << 20)
            return
        }
        let foreground = Double(memoryLimit) * Self.foregroundPart
        let full = MemoryShares(scale: 1, foregroundOutput: 0).sum
        let scale = (Double(memoryLimit) * Self.largestPart - foreground) / Double(full)
        self.init(scale: min(1, scale), foregroundOutput: Int(foreground))
    }

    private init(scale: Double, foregroundOutput: Int) {
        func scaled(_ bytes: Int) -> Int { max(1, Int(Double(bytes) * scale)) }
        self.foregroundOutput = foregroundOutput
        foregroundOwn = scaled(32 << 10)
        var commands = CommandLimits()
        commands.activeBytes = scaled(commands.activeBytes)
        commands.keptBytes = scaled(commands.keptBytes)
        commands.capacity = scaled(commands.capacity.lowerBound)...scaled(commands.capacity.upperBound)
        self.commands = commands
        lingering = scaled(EventHub.maxLingeringBytes)
        terminal = scaled(1 << 20)
        serverStream = scaled(256 << 10)
    }

    /// All of it at its fullest.
    package var sum: Int {
        foregroundOutput + CommandService.maxConcurrent * foregroundOwn + commands.mostBytes + lingering
            + TerminalService.maxTerminals * terminal + ServerService.maxServers * 4 * serverStream
    }
}
