import ComputeCore
import ComputeDomain
import EventSourcing

/// All that follows from events and nothing else: what a commit updates, and a rebuild makes anew.
struct ReadModels {
    let db: any SQLConnection

    private static let categories: Set<String> = [
        StreamID.computeCategory, StreamID.sessionCategory, StreamID.groupCategory, StreamID.apiKeyCategory,
        StreamID.apiSessionCategory, StreamID.webhookCategory, StreamID.secretCategory, StreamID.filesystemCategory,
        StreamID.templateCategory, StreamID.poolCategory,
    ]

    /// Whether anything follows from the events of a stream; of others nothing has to be looked up.
    static func follow(_ stream: StreamID) -> Bool { categories.contains(stream.category) }

    func update(_ event: RecordedEvent) throws {
        guard Self.follow(event.stream) else { return }
        if event.stream.category == StreamID.computeCategory, let id = ComputeID(event.stream.id) {
            let before = try SummarySQL(db: db).summary(id, in: nil)
            if let row = try ComputeSummary.applying(event, to: before) {
                try SummarySQL(db: db).put(row)
                if let span = before?.closedSpan(by: event, row) {
                    try UsageSQL(db: db).add(span.byDay, to: row.group)
                }
                if ComputeEvent.changesLabels(event.type) { try LabelSQL(db: db).replace(before, with: row) }
            }
        }
        try SessionSQL(db: db).update(event)
        try AccessSQL(db: db).update(event)
        try WebhookSQL(db: db).update(event)
        try SecretSQL(db: db).update(event)
        try FilesystemSQL(db: db).update(event)
        try TemplateSQL(db: db).update(event)
        try PoolSQL(db: db).update(event)
    }
}
