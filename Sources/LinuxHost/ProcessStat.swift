/// What `/proc/<pid>/stat` says of a process.
package struct ProcessStat: Sendable {
    package var parent: Int32
    /// Ticks since boot. No two processes with one number have the same.
    package var startTime: UInt64
    /// A zombie has ended; it only was not waited for.
    package var hasEnded: Bool

    /// - Returns: nil when there is no such process.
    package init?(of process: Int32) {
        guard let text = ControlFile.read("/proc/\(process)/stat") else { return nil }
        self.init(text)
    }

    /// The command's name is in parentheses and may itself hold spaces and parentheses, so fields count from the
    /// last `)`: state is field 3, the parent 4, the start time 22.
    package init?(_ text: String) {
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
        guard fields.count > 19, let parent = Int32(fields[1]), let startTime = UInt64(fields[19]) else { return nil }
        self.parent = parent
        self.startTime = startTime
        hasEnded = fields[0] == "Z" || fields[0] == "X"
    }
}
