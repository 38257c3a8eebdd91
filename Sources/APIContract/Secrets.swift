package import ComputeCore
import FoundationEssentials

/// What is kept secret, on its way. Prints as nothing.
package struct SecretBytes: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    package let bytes: [UInt8]
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package var description: String { "…" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// The checked body of `PUT /v1/secrets/{name}`, and with a name that of `POST /v1/secrets`.
package struct WriteSecret: Hashable, Sendable {
    /// As much as an environment holds.
    package static let maxBytes = 64 * 1024

    package var value: SecretBytes

    package init(_ fields: FieldReader) throws(Problem) {
        let text = try fields.string("value")
        let encoded = try fields.string("valueBase64")
        let bytes: [UInt8]
        switch (text, encoded) {
        case (let text?, nil): bytes = Array(text.utf8)
        case (nil, let encoded?):
            guard let decoded = Data(base64Encoded: Data(encoded.utf8)) else {
                throw .invalid("valueBase64", "valueBase64 must be base64")
            }
            bytes = Array(decoded)
        case (nil, nil): throw .invalid("value", "value is required, or valueBase64")
        case (.some, .some): throw .invalid("valueBase64", "value and valueBase64 exclude each other")
        }
        guard bytes.count <= Self.maxBytes else {
            throw .invalid(
                text == nil ? "valueBase64" : "value", "the value of a secret must be at most \(Self.maxBytes) bytes")
        }
        value = SecretBytes(bytes)
    }

    package static func name(_ text: String, field: String = "name") throws(Problem) -> SecretName {
        guard let name = SecretName(text) else {
            throw .invalid(
                field,
                """
                \(field) must be 1 to \(SecretName.maxBytes) characters of A-Z a-z 0-9 . _ - and start with a letter or \
                digit
                """)
        }
        return name
    }
}

/// A secret in answers: never its value.
package struct SecretView: Codable, Hashable, Sendable {
    package var name: String
    package var version: Int64
    package var createdAt: WallTime
    package var updatedAt: WallTime

    package init(name: SecretName, version: Int64, createdAt: WallTime, updatedAt: WallTime) {
        self.name = name.rawValue
        self.version = version
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// One entry of `secrets` in a create: which secret the compute gets, and how.
package struct GivenSecret: Hashable, Sendable {
    package enum Form: Hashable, Sendable {
        /// A variable of everything that runs inside.
        case env(String)
        /// A file of the user's.
        case file(path: String, mode: Int)
    }

    package static let maxCount = 32
    package static let defaultMode = 0o400

    package var name: SecretName
    /// nil: the newest at the claim.
    package var version: Int64?
    package var form: Form

    package init(name: SecretName, version: Int64? = nil, form: Form) {
        self.name = name
        self.version = version
        self.form = form
    }

    /// As a create has it: what `init` reads.
    package var document: JSONValue {
        var fields: [String: JSONValue] = ["name": .string(name.rawValue)]
        fields["version"] = version.map(JSONValue.int)
        switch form {
        case .env(let variable): fields["env"] = .string(variable)
        case .file(let path, let mode):
            fields["path"] = .string(path)
            let digits = String(mode, radix: 8)
            fields["mode"] = .string(String(repeating: "0", count: max(0, 4 - digits.count)) + digits)
        }
        return .object(fields)
    }

    /// - Parameter envs: the names that the create sets itself.
    static func list(_ fields: FieldReader, besides envs: some Sequence<String>) throws(Problem) -> [GivenSecret] {
        var (list, variables, paths) = ([GivenSecret](), Set(envs), Set<String>())
        for entry in try fields.objects("secrets", atMost: maxCount) {
            let given = try GivenSecret(entry)
            switch given.form {
            case .env(let name):
                guard variables.insert(name).inserted else {
                    throw .invalid(entry.path("env"), "\(entry.path("env")) names a variable that is set already")
                }
            case .file(let path, _):
                guard paths.insert(path).inserted else {
                    throw .invalid(entry.path("path"), "\(entry.path("path")) names a file that is written already")
                }
            }
            list.append(given)
        }
        return list
    }

    package init(_ fields: FieldReader) throws(Problem) {
        name = try WriteSecret.name(try fields.requiredString("name"), field: fields.path("name"))
        version = try fields.integer("version", in: 1...Int64.max)
        switch (try fields.string("env"), try fields.string("path")) {
        case (let variable?, nil):
            let bytes = variable.utf8
            guard let first = bytes.first, first.isNameByte, !first.isDigit, bytes.count <= 256,
                bytes.allSatisfy(\.isNameByte)
            else {
                throw .invalid(
                    fields.path("env"), "\(fields.path("env")) must be of the form [A-Za-z_][A-Za-z0-9_]*")
            }
            guard fields.value("mode") == nil else {
                throw .invalid(fields.path("mode"), "\(fields.path("mode")) is of a file, which needs a path")
            }
            form = .env(variable)
        case (nil, let path?):
            _ = try AbsolutePath.parts(of: path, field: fields.path("path"))
            form = .file(path: path, mode: try Self.mode(fields))
        default:
            throw .invalid(
                fields.path("env"), "\(fields.path("env")) or \(fields.path("path")) is required, one of both")
        }
    }

    /// In octal digits, because 400 in JSON would be another number.
    private static func mode(_ fields: FieldReader) throws(Problem) -> Int {
        guard let text = try fields.string("mode") else { return defaultMode }
        guard (3...4).contains(text.utf8.count), let mode = Int(text, radix: 8), (0...0o777).contains(mode),
            text.utf8.allSatisfy(\.isDigit)
        else {
            throw .invalid(fields.path("mode"), "\(fields.path("mode")) must be octal digits, such as \"0400\"")
        }
        return mode
    }
}
