import ComputeCore

/// The uploads that are open: how many there may be, whose they are, and how long they wait for their client. Pure.
struct UploadTable: Sendable {
    struct Upload: Sendable {
        let record: UploadRecord
        let file: IncomingFile
        var id: String { record.id }
        var user: UserIdentity { record.user }
        var size: Int64? { record.size }
    }

    /// Each holds two descriptors and a temporary file. Many more than clients upload at once.
    static let maxUploads = 64
    /// Without a byte; a client whose network is away for longer begins again.
    static let maxIdle: Duration = .seconds(3600)

    private var uploads: [String: (upload: Upload, lastUse: ContinuousClock.Instant)] = [:]

    var isEmpty: Bool { uploads.isEmpty }
    var count: Int { uploads.count }

    mutating func add(_ upload: Upload, now: ContinuousClock.Instant) throws(Problem) {
        guard uploads.count < Self.maxUploads else {
            throw .overQuota("\(Self.maxUploads) uploads are open; end or delete one", retryAfterSeconds: 10)
        }
        uploads[upload.id] = (upload, now)
    }

    /// What one account began, another one does not see.
    mutating func use(_ id: String, by user: UserIdentity, now: ContinuousClock.Instant) -> Upload? {
        guard let upload = uploads[id]?.upload, upload.user == user else { return nil }
        uploads[id]?.lastUse = now
        return upload
    }

    mutating func remove(_ id: String) { uploads[id] = nil }

    /// Takes out those whose time is over.
    mutating func expire(now: ContinuousClock.Instant) -> [Upload] {
        let old = uploads.values.filter { $0.lastUse + Self.maxIdle <= now }.map(\.upload)
        for upload in old { uploads[upload.id] = nil }
        return old
    }

    /// When the next one may be due.
    var nextExpiry: ContinuousClock.Instant? { uploads.values.map(\.lastUse).min().map { $0 + Self.maxIdle } }
}
