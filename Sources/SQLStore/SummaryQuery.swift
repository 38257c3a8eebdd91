import ComputeCore
import ComputeDomain
import EventSourcing

/// A page of a list as SQL, so that an index finds its rows in order, whatever is asked for.
///
/// The living are few: their own index is walked and each one looked at. Of all that ever were, those of a label are found
/// through the index of labels. What is called something has an index by that.
struct SummaryQuery {
    private(set) var tables = "compute_summaries AS s"
    private(set) var conditions: String
    private(set) var order = "ORDER BY s.created_at DESC, s.compute_id DESC"
    private(set) var arguments: SQLArguments

    init(in group: GroupID, matching filter: SummaryFilter, after cursor: Cursor?) throws {
        conditions = "s.group_id = :group"
        arguments = ["group": group.rawValue]
        if let states = filter.states {
            // The names are the enumeration's own, so they can stand in the text.
            let names = states.map { "'\($0.rawValue)'" }.sorted().joined(separator: ", ")
            // An empty list is no SQL; nobody is in no state.
            add(names.isEmpty ? "1 = 0" : "s.state IN (\(names))")
            // Not implied by the list as far as the databases see, and what the indexes of the living ask for.
            if filter.isOfTheLiving { add("s.state <> 'ended'") }
        }
        if let namespace = filter.namespace {
            add("s.namespace = :namespace AND s.name IS NOT NULL")
            arguments += ["namespace": namespace]
        }
        if let name = filter.name {
            add("s.name = :name")
            arguments += ["name": name]
        }
        if let time = filter.createdFrom {
            add("s.created_at >= :created_from")
            arguments += ["created_from": time.milliseconds]
        }
        if let time = filter.createdUntil {
            add("s.created_at < :created_until")
            arguments += ["created_until": time.milliseconds]
        }
        var place = "s"
        for (index, label) in filter.labels.sorted(by: { $0.key < $1.key }).enumerated() {
            // Letters: a digit would end the name of a parameter.
            let letter = Character(UnicodeScalar(UInt8(ascii: "a") + UInt8(index % 26)))
            arguments.bind("label_\(letter)", to: label.key)
            arguments.bind("text_\(letter)", to: label.value)
            let isIt = "l.group_id = :group AND l.key = :label_\(letter) AND l.value = :text_\(letter)"
            if index == 0, !filter.isOfTheLiving, filter.name == nil {
                // In this order also for SQLite, which keeps that of a CROSS JOIN.
                tables = "compute_labels AS l CROSS JOIN compute_summaries AS s"
                add("\(isIt) AND s.compute_id = l.compute_id")
                order = "ORDER BY l.created_at DESC, l.compute_id DESC"
                place = "l"
            } else {
                add(
                    "EXISTS (SELECT 1 FROM compute_labels AS l WHERE \(isIt) AND l.created_at = s.created_at"
                        + " AND l.compute_id = s.compute_id)")
            }
        }
        if let cursor {
            let last = try SummaryCursor(cursor)
            add("(\(place).created_at, \(place).compute_id) < (:created_at, :id)")
            arguments += ["created_at": last.createdAt.milliseconds, "id": last.id.rawValue]
        }
    }

    private mutating func add(_ condition: String) { conditions += " AND \(condition)" }
}
