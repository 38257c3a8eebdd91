import LinuxSystem

/// An upload as a later process has to know it.
struct UploadRecord: Codable, Sendable {
    let id: String
    let user: UserIdentity
    let place: PendingFile.Place
    /// nil: whatever comes until the client says that it is complete.
    let size: Int64?
    let sha256: String?
    let replacing: Bool
}
