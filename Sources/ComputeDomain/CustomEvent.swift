package import ComputeCore
package import EventSourcing

extension StreamID {
    /// What programs in a compute put on record themselves. A stream of its own, so that they never get in the way of
    /// those who decide about the compute.
    package static let customCategory = "custom"
    package static func custom(_ id: ComputeID) -> StreamID { StreamID(category: customCategory, id: id.rawValue) }
}

extension Commit {
    /// - Parameter version: how many there are already.
    package static func custom(
        _ type: String, _ data: [String: JSONValue], of id: ComputeID, in group: GroupID, version: Int,
        metadata: EventMetadata, at now: WallTime
    ) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: .custom(id), group: group, expectedVersion: version,
                    events: [NewEvent(type: type, data: .object(data))])
            ], metadata: metadata, occurredAt: now)
    }
}
