import APIContract
import ComputeCore
import ComputeDomain
import EventSourcing
import Logging
import SecretSealing
import SidekickProtocol

/// What a compute is given of its group's secrets. Lives for as long as one create.
struct GivenSecrets: Sendable {
    var env: [String: String] = [:]
    var files: [SecretFile] = []
}

extension SecretService {
    /// The values that a create asks for, opened.
    /// - Throws: 400 for a secret or version that the group does not have, or that does not fit its form.
    func given(_ request: CreateSandbox, in group: GroupID) async throws(Problem) -> GivenSecrets {
        var given = GivenSecrets()
        var envBytes = request.envs.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 2 }
        var fileBytes = 0
        for (index, secret) in request.secrets.enumerated() {
            let value = try await value(of: secret, in: group, "secrets[\(index)]")
            switch secret.form {
            case .env(let variable):
                guard let text = String(validating: value, as: UTF8.self), !value.contains(0) else {
                    throw .invalid(
                        "secrets[\(index)].env", "secrets[\(index)].env: the secret is no text; it can only be a file")
                }
                envBytes += variable.utf8.count + value.count + 2
                given.env[variable] = text
            case .file(let path, let mode):
                fileBytes += value.count
                given.files.append(SecretFile(path: path, mode: mode, content: value))
            }
        }
        guard envBytes <= CreateSandbox.maxEnvBytes else {
            throw .invalid(
                "secrets",
                "envs and secrets together must be at most \(CreateSandbox.maxEnvBytes) bytes of names and values")
        }
        guard fileBytes <= SecretFile.maxBytes else {
            throw .invalid("secrets", "secrets must be at most \(SecretFile.maxBytes) bytes in files")
        }
        return given
    }

    private func value(
        of secret: GivenSecret, in group: GroupID, _ field: String
    ) async throws(Problem) -> [UInt8] {
        let row = try await reading { () async throws(EventStoreError) -> SecretValueRow? in
            // Between the two looks it may have got so many new versions that this one is gone.
            for _ in 0..<3 {
                guard let newest = try await ports.secrets.records.secret(secret.name, in: group)?.version else {
                    return nil
                }
                let key = SecretValueRow.Key(group: group, name: secret.name, version: secret.version ?? newest)
                if let row = try await ports.secrets.records.secretValue(key) { return row }
                if secret.version != nil { return nil }
            }
            return nil
        }
        guard let row else {
            throw secret.version == nil
                ? .invalid("\(field).name", "\(field).name: there is no secret \(secret.name)")
                : .invalid(
                    "\(field).version", "\(field).version: there is no such version of the secret \(secret.name)")
        }
        guard let sealed = row.sealed, let value = try? ports.secrets.masterKeys.open(sealed, at: row.key.place) else {
            logger.error(
                "a secret cannot be opened", metadata: ["secret": "\(row.key.name)", "master-key": "\(row.masterKey)"])
            throw .unavailable("the secret \(secret.name) cannot be opened at the moment", retryAfterSeconds: 60)
        }
        return value
    }
}
