/// Which statements a connection has prepared, and under which names.
///
/// Bounded, since some texts are put together; the one that was used longest ago makes room.
package struct StatementNames {
    package enum Use: Hashable {
        case known(String)
        /// To be prepared under this name, after the other one was forgotten.
        case new(String, forget: String?)
    }
    private var names: [String: (name: String, usedAt: Int)] = [:]
    private var uses = 0
    private var made = 0
    private let limit: Int

    /// More than there are texts in the program; each costs the server some kilobytes.
    package init(limit: Int = 200) { self.limit = limit }

    package mutating func use(of sql: String) -> Use {
        uses += 1
        if let known = names[sql] {
            names[sql]?.usedAt = uses
            return .known(known.name)
        }
        var forget: String?
        if names.count >= limit, let oldest = names.min(by: { $0.value.usedAt < $1.value.usedAt }) {
            forget = oldest.value.name
            names[oldest.key] = nil
        }
        made += 1
        return .new("s\(made)", forget: forget)
    }

    /// Only what the server accepted has a name: a statement that it refused is tried again.
    package mutating func prepared(_ sql: String, as name: String) { names[sql] = (name, uses) }
}
