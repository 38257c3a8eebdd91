package import ComputeCore

/// How events of older shapes are read. What was recorded is never edited: its data are brought to today's shape each time
/// they are read.
///
/// A field that may be absent needs none of this. It is for data that changed their meaning or their form.
package struct Upcasting: Sendable {
    package typealias Step = @Sendable ([String: JSONValue]) -> [String: JSONValue]
    /// By type; the first step turns shape 1 into shape 2.
    private let steps: [String: [Step]]

    package init(_ steps: [String: [Step]]) { self.steps = steps }

    /// The shape that events of this type are written in today.
    package func schema(of type: String) -> Int { (steps[type]?.count ?? 0) + 1 }

    /// - Throws: `.corrupt` for a shape that this version does not know: the database was written by a newer one.
    package func current(_ data: JSONValue, of type: String, schema: Int) throws(EventStoreError) -> JSONValue {
        let today = self.schema(of: type)
        guard schema != today else { return data }
        guard (1..<today).contains(schema), case .object(let fields) = data, let steps = steps[type] else {
            throw EventStoreError(.corrupt, "a \(type) has the shape \(schema), this version knows up to \(today)")
        }
        return .object(steps[(schema - 1)...].reduce(fields) { $1($0) })
    }

    /// Those of all events of ours. There is none yet; the first one goes here, with the type that it changes.
    package static let known = Upcasting([:])
}
