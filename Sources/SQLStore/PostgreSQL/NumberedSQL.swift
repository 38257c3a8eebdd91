import Synchronization

/// A statement with `$n` in place of `:name`, for PostgreSQL.
package struct NumberedSQL: Sendable {
    package var sql: String
    /// What `$1`, `$2` … are.
    package var names: [String]

    package init(naming text: String) {
        sql = ""
        names = []
        var rest = text[...]
        while let character = rest.first {
            rest = rest.dropFirst()
            if character == "'" {
                // A constant, up to its end. One that holds a quote is two of them.
                let end = rest.firstIndex(of: "'") ?? rest.endIndex
                sql += "'" + rest[..<end] + (end == rest.endIndex ? "" : "'")
                rest = rest[end...].dropFirst()
            } else if character == ":", let first = rest.first, first.isLetter {
                let name = rest.prefix { $0.isLetter || $0 == "_" }
                rest = rest.dropFirst(name.count)
                let number = names.firstIndex(of: String(name)) ?? names.endIndex
                if number == names.endIndex { names.append(String(name)) }
                sql += "$\(number + 1)"
            } else {
                sql.append(character)
            }
        }
    }

    /// Read once per text. There are as many texts as statements in the program, and the ways that lists are filtered.
    static func of(_ text: String) -> NumberedSQL {
        if let known = read.withLock({ $0[text] }) { return known }
        let numbered = NumberedSQL(naming: text)
        read.withLock { $0[text] = numbered }
        return numbered
    }

    private static let read = Mutex<[String: NumberedSQL]>([:])
}
