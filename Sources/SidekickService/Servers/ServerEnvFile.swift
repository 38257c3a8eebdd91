import ComputeCore
import Glibc
import LinuxSystem

/// The variables of a server's `env_file`: lines `NAME=value`, `#` begins a comment, `export` may stand in front, quotes
/// around a value go. Read anew at every start.
package enum ServerEnvFile {
    static let maxBytes = 1 << 20

    /// Blocking, with the rights of the thread.
    /// - Throws: a 400 naming `env_file`.
    static func read(_ path: String) throws(Problem) -> [String: String] {
        do throws(LinuxSystemError) {
            let (_, bytes) = try FileTree.read(path, limit: maxBytes)
            return variables(String(decoding: bytes, as: UTF8.self))
        } catch {
            throw .invalid("env_file", "env_file \(path): \(error.reason)")
        }
    }

    /// A line that says nothing is passed over, and of two with one name the later counts.
    package static func variables(_ text: String) -> [String: String] {
        var variables: [String: String] = [:]
        // By bytes: "\r\n" is one Character.
        for line in text.utf8.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            var rest = Substring(line).drop { $0 == " " || $0 == "\t" }
            if rest.hasPrefix("export ") { rest = rest.dropFirst(7).drop { $0 == " " || $0 == "\t" } }
            guard rest.first != "#", let equals = rest.firstIndex(of: "=") else { continue }
            let name = trimmed(rest[..<equals])
            guard !name.isEmpty, !name.contains(where: { $0 == " " || $0 == "\t" || $0 == "\0" }) else { continue }
            let value = value(trimmed(rest[rest.index(after: equals)...]))
            guard !value.utf8.contains(0) else { continue }
            variables[String(name)] = value
        }
        return variables
    }

    private static func value(_ text: Substring) -> String {
        guard let quote = text.first, quote == "\"" || quote == "'" else {
            // Behind a space a comment may follow.
            var end = text.startIndex
            while let mark = text[end...].firstIndex(of: "#") {
                if mark > text.startIndex, " \t".contains(text[text.index(before: mark)]) {
                    return String(trimmed(text[..<mark]))
                }
                end = text.index(after: mark)
            }
            return String(text)
        }
        var value = ""
        var isEscaped = false
        for character in text.dropFirst() {
            if isEscaped {
                isEscaped = false
                switch character {
                case "n": value.append("\n")
                case "r": value.append("\r")
                case "t": value.append("\t")
                default: value.append(character)
                }
            } else if character == "\\", quote == "\"" {
                isEscaped = true
            } else if character == quote {
                return value
            } else {
                value.append(character)
            }
        }
        // No end: then it was no quote.
        return String(text)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
