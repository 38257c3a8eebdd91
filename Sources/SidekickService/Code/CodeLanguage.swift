/// Languages whose code can be run in one call: as whoever has the interpreter would.
package enum CodeLanguage: String, CaseIterable, Sendable {
    case python, node, bash, sh, ruby, deno, bun

    /// By its name or one of those that people also use.
    package init?(named name: String) {
        switch name.lowercased() {
        case "python", "python3", "py": self = .python
        case "node", "nodejs", "javascript", "js": self = .node
        case "bash": self = .bash
        case "sh", "shell": self = .sh
        case "ruby", "rb": self = .ruby
        case "deno": self = .deno
        case "bun": self = .bun
        default: return nil
        }
    }

    /// What to look for in the compute's PATH, the first that is there.
    package var programs: [String] {
        switch self {
        case .python: ["python3", "python"]
        case .node: ["node", "nodejs"]
        case .bash, .sh, .ruby, .deno, .bun: [rawValue]
        }
    }

    /// The kernel takes 128 KiB as one argument.
    package static let maxArgumentBytes = 96 << 10

    /// How the interpreter is given the code: as an argument, which leaves its input alone, or, where that cannot be, as
    /// its input. Never in a file, which somebody would have to clean up.
    package func invocation(of code: String) -> (arguments: [String], input: CommandInput) {
        // Some take what begins with a dash for an option of theirs.
        guard code.utf8.count <= Self.maxArgumentBytes, !code.hasPrefix("-") else {
            return (fromInput, .text(code))
        }
        let option: String
        switch self {
        case .python, .bash, .sh: option = "-c"
        case .node, .ruby, .bun: option = "-e"
        case .deno: option = "eval"
        }
        return ([option, code], .nothing)
    }

    private var fromInput: [String] {
        switch self {
        case .python, .node, .ruby: ["-"]
        case .bash, .sh: ["-s"]
        case .deno: ["run", "--allow-all", "-"]
        case .bun: ["run", "-"]
        }
    }
}
