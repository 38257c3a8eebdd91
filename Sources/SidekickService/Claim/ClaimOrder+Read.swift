import ComputeCore
import SidekickProtocol

extension ClaimOrder {
    /// Reads an order field by field, so that a complaint names the field.
    static func read(_ fields: FieldReader) throws(Problem) -> ClaimOrder {
        guard let id = ComputeID(try fields.requiredString("computeId")) else {
            throw .invalid("computeId", "computeId is not the id of a compute")
        }
        guard let generation = try fields.integer("generation", in: 1...Int64(Int32.max)) else {
            throw .invalid("generation", "generation is required")
        }
        let secret = try fields.requiredString("secret")
        // An empty secret would let an empty bearer in.
        guard secret.utf8.count >= 16 else { throw .invalid("secret", "secret must have at least 16 characters") }
        let env = try fields.strings("env") ?? [:]
        for (name, value) in env {
            guard !name.isEmpty, !name.utf8.contains(where: { $0 == 0 || $0 == UInt8(ascii: "=") }),
                !value.utf8.contains(0)
            else { throw .invalid("env", "env has a name or value that no process can have") }
        }
        let directory = try fields.string("directory")
        if let directory {
            do throws(Problem) {
                _ = try FilePath(directory, directory: "/")
            } catch {
                throw .invalid("directory", "directory is not a path: \(error.message)")
            }
        }
        let setup = fields.value("setup")
        // Refused now: later there would be nobody to tell.
        if let setup { try SetupOrder(setup, directory: "/").checkAlone() }
        var order = ClaimOrder(
            computeId: id, generation: Generation(Int(generation)), secret: secret, env: env, directory: directory,
            url: try fields.requiredString("url"), portURLTemplate: try fields.string("portURLTemplate"),
            setup: setup, timeoutMs: try fields.integer("timeoutMs", in: 0...Int64.max),
            secretFiles: try SecretFile.list(fields))
        order.goesOn = try fields.bool("goesOn")
        order.secretEnv = try fields.array("secretEnv").map { (names) throws(Problem) in
            try names.map { (name) throws(Problem) in
                guard case .string(let text) = name else {
                    throw .invalid("secretEnv", "secretEnv must be an array of strings")
                }
                return text
            }
        }
        return order
    }
}
