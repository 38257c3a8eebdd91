import APIContract
import ComputeCore
import Foundation
import Testing

struct SandboxTests {
    private let now = WallTime(milliseconds: 1_800_000_000_007)

    private var plain: Sandbox {
        Sandbox(
            sandboxId: .random(), url: "http://a/b", token: nil, status: .creating, metadata: nil, name: nil,
            namespace: nil, createdAt: now, expiresAt: now + .seconds(60))
    }

    private var full: Sandbox {
        Sandbox(
            sandboxId: .random(), url: "http://a/b?\"é", token: "t.o.k", status: .ended,
            metadata: ["n": .int(1), "deep": .array([.null, .bool(true), .double(0.5)])], name: "n", namespace: "ns",
            filesystems: [Sandbox.Filesystem(id: .random(), name: "f", path: "/f", readOnly: true)],
            network: NetworkPolicy(internet: false), ports: PortAccess(usual: .private),
            template: UsedTemplate(id: .random(), revision: 3), lifecycle: ComputeLifecycle(onExpiry: .stop),
            createdAt: now, expiresAt: now + .seconds(60), endedAt: now, endReason: "deleted")
    }

    /// Every property: one that is new and was forgotten is missing in the document.
    @Test func itsDocumentIsWhatEncodingGives() throws {
        for sandbox in [plain, full] {
            let encoded = try JSONDocument.parse(Array(try JSONEncoder().encode(sandbox)))
            #expect(sandbox.document == encoded)
            #expect(try JSONDocument.parse(sandbox.document.utf8(sortingKeys: true)) == encoded)
        }
        guard case .object(let fields) = full.document else {
            Issue.record("no object")
            return
        }
        #expect(Set(fields.keys) == Set(Mirror(reflecting: full).children.compactMap(\.label)))
    }
}
