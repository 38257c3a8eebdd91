/// Reads the fields of a JSON object that came from outside; every complaint names the field.
///
/// A field that is `null` reads as absent: clients send both.
package struct FieldReader: Sendable {
    private let fields: [String: JSONValue]
    private let prefix: String

    package init(_ fields: [String: JSONValue], prefix: String = "") {
        self.fields = fields
        self.prefix = prefix
    }

    /// - Throws: a 400 when the document is not an object.
    package init(_ document: JSONValue) throws(Problem) {
        guard case .object(let fields) = document else {
            throw Problem(
                status: 400, code: .invalidRequest,
                message: "the request body must be a JSON object, not \(document.typeName)")
        }
        self.init(fields)
    }

    package func path(_ name: String) -> String { prefix.isEmpty ? name : "\(prefix).\(name)" }

    package func value(_ name: String) -> JSONValue? {
        guard let value = fields[name], value != .null else { return nil }
        return value
    }

    package func string(_ name: String) throws(Problem) -> String? {
        guard let value = value(name) else { return nil }
        guard case .string(let text) = value else { throw wrongType(name, "a string", value) }
        return text
    }

    package func requiredString(_ name: String) throws(Problem) -> String {
        guard let text = try string(name) else { throw .invalid(path(name), "\(path(name)) is required") }
        return text
    }

    package func bool(_ name: String) throws(Problem) -> Bool? {
        guard let value = value(name) else { return nil }
        guard case .bool(let flag) = value else { throw wrongType(name, "true or false", value) }
        return flag
    }

    /// Accepts whole numbers, also when written as `5.0`.
    package func integer(_ name: String, in range: ClosedRange<Int64>) throws(Problem) -> Int64? {
        guard let value = value(name) else { return nil }
        let number: Int64?
        switch value {
        case .int(let whole): number = whole
        case .double(let real): number = Int64(exactly: real)
        case .null, .bool, .string, .array, .object: throw wrongType(name, "a whole number", value)
        }
        guard let number, range.contains(number) else {
            throw .invalid(
                path(name),
                "\(path(name)) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Whole numbers and others.
    package func number(_ name: String, in range: ClosedRange<Double>) throws(Problem) -> Double? {
        guard let value = value(name) else { return nil }
        let number: Double
        switch value {
        case .int(let whole): number = Double(whole)
        case .double(let real): number = real
        case .null, .bool, .string, .array, .object: throw wrongType(name, "a number", value)
        }
        guard range.contains(number) else {
            throw .invalid(path(name), "\(path(name)) must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    package func object(_ name: String) throws(Problem) -> [String: JSONValue]? {
        guard let value = value(name) else { return nil }
        guard case .object(let object) = value else { throw wrongType(name, "an object", value) }
        return object
    }

    package func array(_ name: String) throws(Problem) -> [JSONValue]? {
        guard let value = value(name) else { return nil }
        guard case .array(let array) = value else { throw wrongType(name, "an array", value) }
        return array
    }

    /// An array of objects; complaints about one name its place, such as `servers[2].port`.
    package func objects(_ name: String, atMost limit: Int) throws(Problem) -> [FieldReader] {
        let values = try array(name) ?? []
        guard values.count <= limit else { throw .invalid(path(name), "\(path(name)) holds more than \(limit)") }
        var objects: [FieldReader] = []
        for (index, value) in values.enumerated() {
            let path = "\(path(name))[\(index)]"
            guard case .object(let fields) = value else {
                throw .invalid(path, "\(path) must be an object, not \(value.typeName)")
            }
            objects.append(FieldReader(fields, prefix: path))
        }
        return objects
    }

    /// An object whose values are all strings, such as environment variables.
    package func strings(_ name: String) throws(Problem) -> [String: String]? {
        guard let object = try object(name) else { return nil }
        var strings: [String: String] = [:]
        for (key, value) in object {
            guard case .string(let text) = value else {
                throw .invalid("\(path(name)).\(key)", "\(path(name)).\(key) must be a string, not \(value.typeName)")
            }
            strings[key] = text
        }
        return strings
    }

    private func wrongType(_ name: String, _ wanted: String, _ value: JSONValue) -> Problem {
        .invalid(path(name), "\(path(name)) must be \(wanted), not \(value.typeName)")
    }
}
