package import ComputeCore

/// What lists of computes can be filtered by: the entries of their metadata that are short and simple, as text.
///
/// Each is a row of an index, and whoever creates computes chooses how many: hence the bounds.
package enum ComputeLabels {
    package static let maximumCount = 64
    /// Of a key, and of a value: databases index no more than some kilobytes.
    package static let maximumBytes = 256

    package static func of(_ metadata: [String: JSONValue]) -> [String: String] {
        var labels: [String: String] = [:]
        for (key, value) in metadata {
            guard key.utf8.count <= maximumBytes, let text = text(of: value), text.utf8.count <= maximumBytes else {
                continue
            }
            labels[key] = text
        }
        guard labels.count > maximumCount else { return labels }
        return Dictionary(
            uniqueKeysWithValues: labels.sorted { $0.key < $1.key }.prefix(maximumCount).map { ($0.key, $0.value) })
    }

    /// nil for what has no one way of being written.
    private static func text(of value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .int(let number): String(number)
        case .bool(let flag): flag ? "true" : "false"
        case .null, .double, .array, .object: nil
        }
    }
}

extension ComputeSummary {
    package var labels: [String: String] { ComputeLabels.of(metadata) }
}
