import APIService
import ComputeCore
import HTTPTypes
import Testing

/// `/v1/snapshots`.
struct SnapshotTests {
    @Test func snapshotsAreSaidNotToBeThereYet() async throws {
        try await World().withAPI { api async throws in
            for (method, path) in [("POST", ""), ("GET", ""), ("GET", "/s1"), ("DELETE", "/s1")] {
                let reply = try await api.send(.init(rawValue: method)!, "/v1/snapshots\(path)")
                #expect(reply.status == 501)
                #expect(reply["code"] == .string("not_implemented") && reply["success"] == .bool(false))
            }
            let reply = try await api.create(#"{"snapshotId":"s1"}"#)
            #expect(reply.status == 400)
            #expect(reply["field"] == .string("snapshotId") && reply["code"] == .string("unsupported_field"))
        }
    }
}
