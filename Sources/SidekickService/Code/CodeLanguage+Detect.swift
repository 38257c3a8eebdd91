extension CodeLanguage {
    /// A guess, for those who say nothing. The first line decides if it names an interpreter; else each line speaks for
    /// the languages it looks like, and the most voices win.
    package static func detect(_ code: String) -> CodeLanguage {
        let lines = code.split(whereSeparator: \.isNewline).prefix(maxLines)
        if let first = lines.first, first.hasPrefix("#!"), let named = interpreter(of: first) { return named }
        if code.contains("Deno.") { return .deno }
        if code.contains("Bun.") { return .bun }
        var votes: [CodeLanguage: Int] = [:]
        for line in lines {
            let text = line.drop { $0.isWhitespace }
            // The same sign begins a comment in most of them.
            guard !text.isEmpty, !text.hasPrefix("#") else { continue }
            for language in [CodeLanguage.python, .node, .ruby, .bash] where language.looksLike(text) {
                votes[language, default: 0] += 1
            }
        }
        // Where two are equal, the earlier one here: expressions such as `1 + 1` are most often meant as Python.
        let order: [CodeLanguage] = [.python, .node, .ruby, .bash]
        let most = order.map { votes[$0] ?? 0 }.max() ?? 0
        let winner = order.first { votes[$0] ?? 0 == most } ?? .python
        return winner == .bash && !needsBash(code) ? .sh : winner
    }

    /// The beginning of a program says what it is.
    private static let maxLines = 400

    /// `#!/usr/bin/env -S python3 -u`
    private static func interpreter(of line: Substring) -> CodeLanguage? {
        for word in line.dropFirst(2).split(separator: " ") {
            let name = word.split(separator: "/").last ?? ""
            if name == "env" || name.hasPrefix("-") { continue }
            return CodeLanguage(named: String(name.prefix { $0.isLetter }))
        }
        return nil
    }

    private func looksLike(_ line: Substring) -> Bool {
        func begins(_ words: String...) -> Bool { words.contains { line.hasPrefix($0) } }
        func has(_ parts: String...) -> Bool { parts.contains { line.contains($0) } }
        func ends(_ text: String) -> Bool { line.hasSuffix(text) }
        switch self {
        case .python:
            return begins("print(", "import ", "elif ", "except", "async def ", "@", "with ", "raise ", "lambda ")
                && !ends(";") && !has(" from '", " from \"")
                || begins("from ") && has(" import ")
                || begins("def ", "class ", "for ", "while ", "if ", "else:", "try:") && ends(":")
        case .node:
            return begins(
                "const ", "let ", "var ", "function ", "async function ", "export ", "console.", "process.", "await ",
                "}", "//", "module.exports")
                && !begins("export PATH")
                && !(begins("export ") && has("=") && !has("const ", "default "))
                || has("console.log(", "require(", "=> ", " from '", " from \"", "===", ".then(")
        case .ruby:
            return begins("puts ", "p ", "end", "require '", "require \"", "attr_", "module ", "unless ", "elsif ")
                || begins("def ", "class ") && !ends(":") && !has("{")
                || has(" do |", ".each do", "#{", ".each {", ".map {")
        case .bash, .sh:
            return begins(
                "echo ", "fi", "done", "esac", "then", "export ", "set -", "cd ", "ls", "cat ", "mkdir ", "rm ",
                "grep ",
                "sudo ", "curl ", "apt", "source ", "[[ ", "[ ", "local ", "exit ", "printf '", "printf \"", "git ",
                "npm ",
                "pip ", "sleep ", "test ", "pwd", "touch ", "cp ", "mv ", "chmod ", "uname", "date", "which ")
                && !has("(\"", "console.") && !begins("export const", "export default", "export function", "test(")
                || ends("; then") || ends("; do") || begins("if [", "while [") || has("$(", " && ", " | ")
        case .deno, .bun: return false
        }
    }

    /// What the plain shell of a system may not understand.
    private static func needsBash(_ code: String) -> Bool {
        [
            "[[", "((", "${!", "declare ", "source ", "function ", "<<<", "=(", "pipefail", "&>", "<(", "mapfile",
            "local -",
        ]
        .contains { code.contains($0) }
    }
}
