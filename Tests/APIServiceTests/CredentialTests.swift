import ComputeCore
import HTTPTypes
import Testing

struct CredentialTests {
    @Test func aDoubledCredentialIsRefused() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            for name in ["Authorization", "X-ComputeSDK-API-Key"] {
                for value in ["Bearer \(api.key)", api.key, ""] {
                    let reply = try await api.send(
                        .get, "/v1/sandboxes", doubling: name,
                        [name == "Authorization" ? "Bearer \(api.key)" : api.key, value])
                    #expect(reply.status == 400, "\(name): \(reply.text)")
                    #expect(reply["field"]?.text?.lowercased() == name.lowercased())
                }
            }
        }
    }
}
