import ComputeCore

extension Area {
    static let snapshots = Area(
        name: "snapshots", text: "Not there yet: always 501.",
        operations: [
            ("POST", "/v1/snapshots", "createSnapshot", "Keep the state of a sandbox"),
            ("GET", "/v1/snapshots", "listSnapshots", "The group's"),
            ("GET", "/v1/snapshots/{snapshot}", "getSnapshot", "One"),
            ("DELETE", "/v1/snapshots/{snapshot}", "deleteSnapshot", "Forget it"),
        ].map { method, path, id, summary in
            Operation(method: method, path: path, id: id, summary: summary, answer: .never, refusals: [501])
        })
}
