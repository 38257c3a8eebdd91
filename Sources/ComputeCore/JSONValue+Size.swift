extension JSONValue {
    /// The size of the JSON text, near enough for a limit (escapes are not counted).
    package var roughSize: Int {
        switch self {
        case .null, .bool: 5
        case .int(let value): String(value).utf8.count
        case .double(let value): String(value).utf8.count
        case .string(let text): text.utf8.count + 2
        case .array(let values): values.reduce(2) { $0 + $1.roughSize + 1 }
        case .object(let fields): fields.reduce(2) { $0 + $1.key.utf8.count + $1.value.roughSize + 4 }
        }
    }
}
