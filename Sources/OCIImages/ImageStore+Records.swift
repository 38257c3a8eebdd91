import ComputeCore
import Crypto
import Foundation

/// The small files of the store: written beside and renamed, so that a reader finds a whole one or none.
extension ImageStore {
    private struct Resolution: Codable {
        var reference: String
        var digest: String
    }

    func remember(_ reference: ImageReference, _ digest: String) throws(ImageError) {
        try makeFolder("\(folder)/references")
        try write(Resolution(reference: reference.description, digest: digest), to: path(of: reference))
    }

    func remembered(_ reference: ImageReference) -> String? {
        guard let found = read(Resolution.self, path(of: reference)), found.reference == reference.description else {
            return nil
        }
        return found.digest
    }

    func write(_ value: some Encodable, to path: String) throws(ImageError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        do { try encoder.encode(value).write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
            throw ImageError(.cannotRun, "cannot write \(path)", cause: "\(error)")
        }
    }

    func read<Value: Decodable>(_ type: Value.Type, _ path: String) -> Value? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return try? JSONDecoder().decode(type, from: data)
    }

    /// A reference may hold slashes and be long, so its file is named by a hash of it.
    private func path(of reference: ImageReference) -> String {
        "\(folder)/references/\(SHA256.hash(data: Data(reference.description.utf8)).hex).json"
    }
}
