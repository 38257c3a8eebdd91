import APIContract
import ComputeCore
import ComputeDomain
import Hummingbird

/// The filters of `GET /v1/sandboxes`: `state`, `namespace`, `name`, `createdAfter`, `createdBefore` and `metadata.KEY`.
struct SandboxQuery: Sendable {
    static let prefix = "metadata."
    /// Each is one more look at every row.
    static let maxLabels = 4

    let filter: SummaryFilter

    init(_ request: Request) throws(Problem) {
        var filter = SummaryFilter(states: try Self.states(request))
        filter.namespace = request.query("namespace")
        filter.name = request.query("name")
        // A name alone is one of the default namespace, as in a find.
        if filter.name != nil { filter.namespace = filter.namespace ?? SandboxName.defaultNamespace }
        for (field, text) in [("namespace", filter.namespace), ("name", filter.name)] {
            if let text { try SandboxName.check(field, text) }
        }
        filter.createdFrom = try EventQuery.time("createdAfter", request)
        filter.createdUntil = try EventQuery.time("createdBefore", request)
        filter.labels = try Self.labels(request)
        self.filter = filter
    }

    /// Those alive unless asked otherwise.
    private static func states(_ request: Request) throws(Problem) -> Set<ComputeSummary.State>? {
        switch request.query("state") {
        case nil: return ComputeSummary.State.living
        case "creating": return [.requested]
        case "running": return [.running]
        case "paused": return [.paused]
        case "stopped": return [.stopped]
        case "ended": return [.ended]
        case "all": return nil
        default: throw .invalid("state", "state must be creating, running, paused, stopped, ended or all")
        }
    }

    private static func labels(_ request: Request) throws(Problem) -> [String: String] {
        var labels: [String: String] = [:]
        for (name, value) in request.uri.queryParameters where name.hasPrefix(prefix) {
            guard let key = name.dropFirst(prefix.count).percentDecoded, fits(key), fits(String(value)) else {
                throw .invalid(
                    String(name.prefix(64)),
                    "\(name.prefix(64)) must be at most \(ComputeLabels.maximumBytes) bytes of UTF-8 without NUL, name and value"
                )
            }
            guard labels.updateValue(String(value), forKey: key) == nil else {
                throw .invalid(prefix + key.prefix(64), "\(prefix)\(key.prefix(64)) is there twice")
            }
        }
        guard labels.count <= maxLabels else {
            throw .invalid("metadata", "at most \(maxLabels) entries of the metadata can be asked for at once")
        }
        return labels
    }

    private static func fits(_ text: String) -> Bool {
        text.utf8.count <= ComputeLabels.maximumBytes && !text.utf8.contains(0)
    }
}
