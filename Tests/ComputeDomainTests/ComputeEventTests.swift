import ComputeCore
import ComputeDomain
import EventSourcing
import FoundationEssentials
import Testing

struct ComputeEventTests {
    static let events: [ComputeEvent] =
        [
            .requested(spec, at: t0),
            .requested(
                ComputeSpec(
                    timeout: .seconds(1), image: "python:3.12",
                    resources: ComputeResources(cpus: 0.5, memoryBytes: 1 << 30, diskBytes: 4 << 30)), at: t0),
            .requested(ComputeSpec(timeout: .milliseconds(1)), at: t0),
            .requested(
                {
                    var spec = ComputeSpec(timeout: .seconds(1))
                    spec.granted = ComputeResources(cpus: 0.25, memoryBytes: 64 << 20, diskBytes: 1 << 30)
                    return spec
                }(), at: t0),
            .requested(
                {
                    var spec = ComputeSpec(timeout: .seconds(1))
                    spec.network = narrow
                    spec.ports = PortAccess(usual: .private, ports: [3000: .public])
                    return spec
                }(), at: t0), .networkChanged(narrow), .networkChanged(.open),
            .portsChanged(PortAccess(ports: [80: .private])), .portsChanged(.open),
            .started(place(7), expiresAt: t0), .extended(expiresAt: t0),
            .metadataChanged(["a": .array([.null]), "b": .null]), .expiryChanged(expiresAt: t0), .paused(Generation(7)),
            .resumed(place(7)), .paused(Generation(7), deleteAt: t0), .stopped(Generation(7), deleteAt: t0),
            .lifecycleChanged(ComputeLifecycle()),
            .lifecycleChanged(ComputeLifecycle(onExpiry: .stop, deleteAfterStopped: .seconds(5)), deleteAt: t0),
            .requested(
                {
                    var spec = ComputeSpec(timeout: .seconds(1))
                    spec.lifecycle = ComputeLifecycle(onExpiry: .pause)
                    spec.secrets = [.object(["name": .string("db"), "env": .string("DB")])]
                    return spec
                }(), at: t0),
        ] + EndReason.allCases.map { .ended($0) }

    @Test(arguments: events) func eventsRoundTripThroughJSON(event: ComputeEvent) throws {
        let recorded = event.recorded
        let text = try JSONEncoder().encode(recorded.data)
        let data = try JSONDecoder().decode(JSONValue.self, from: text)
        #expect(try ComputeEvent(type: recorded.type, data: data) == event)
    }

    @Test(arguments: events) func keysOfANewerVersionAreTolerated(event: ComputeEvent) throws {
        guard case .object(var fields) = event.recorded.data else { return #expect(Bool(false)) }
        fields["fromTheFuture"] = .object(["x": .null])
        #expect(try ComputeEvent(type: event.recorded.type, data: .object(fields)) == event)
    }

    @Test(arguments: events) func everyRequiredFieldIsMissedWithACorruptError(event: ComputeEvent) throws {
        guard case .object(let fields) = event.recorded.data else { return #expect(Bool(false)) }
        var optional: Set = [
            "name", "namespace", "metadata", "envNames", "directory", "image", "resources", "granted", "secrets",
        ]
        if event.typeName == .requested { optional.formUnion(["network", "ports"]) }
        if event.typeName != .lifecycleChanged { optional.insert("lifecycle") }
        if event.typeName != .stopped { optional.insert("deleteAt") }
        for name in fields.keys where !optional.contains(name) {
            var fields = fields
            fields[name] = nil
            #expect(throws: EventStoreError.self) {
                try ComputeEvent(type: event.recorded.type, data: .object(fields))
            }
        }
        for name in fields.keys {
            var fields = fields
            fields[name] = .bool(true)
            let error = #expect(throws: EventStoreError.self) {
                try ComputeEvent(type: event.recorded.type, data: .object(fields))
            }
            #expect(error?.code == .corrupt)
        }
        #expect(throws: EventStoreError.self) { try ComputeEvent(type: event.recorded.type, data: .string("x")) }
    }

    @Test func typesOfOthersAreNotEvents() throws {
        #expect(try ComputeEvent(type: "ComputeTeleported", data: .object([:])) == nil)
        #expect(try APIKeyEvent(type: "ComputeEnded", data: .object([:])) == nil)
    }

    @Test func theNamesInTheLogAreWhatTheyAlwaysWere() {
        #expect(EndReason.allCases.map(\.rawValue) == ["deleted", "expired", "shutdown", "start_failed", "lost"])
        #expect(
            ComputeEvent.TypeName.allCases.map(\.rawValue) == [
                "ComputeRequested", "ComputeStarted", "ComputeExtended", "ComputeMetadataChanged",
                "ComputeExpiryChanged", "ComputeNetworkChanged", "ComputePortsChanged", "ComputeLifecycleChanged",
                "ComputePaused", "ComputeResumed", "ComputeStopped", "ComputeEnded",
            ])
    }

    @Test func namesInNamespacesAreKeyedWithoutAmbiguity() {
        let pairs = [("a", "b/c"), ("a/b", "c"), ("a/b/c", ""), ("", "a/b/c"), ("1:a", "b"), ("1", ":a/b")]
        #expect(Set(pairs.map { UniqueKey.name($1, namespace: $0, in: .default) }).count == pairs.count)
    }

    @Test func apiKeysAreCreatedOnceAndRevokedForGood() throws {
        let grant = KeyGrant(id: "k1", label: "first", prefix: "csdk_1234")
        let (created, create) = (APIKeyEvent.created(grant), APIKeyLife.Command.create(grant))
        let active = APIKeyLife.State.active(grant, secret: 1)
        #expect(try APIKeyLife.decide(create, .absent) == [created])
        #expect(throws: APIKeyLife.Rejection.alreadyCreated) { try APIKeyLife.decide(create, active) }
        #expect(throws: APIKeyLife.Rejection.alreadyCreated) { try APIKeyLife.decide(create, .revoked) }
        #expect(throws: APIKeyLife.Rejection.absent) { try APIKeyLife.decide(.revoke, .absent) }
        #expect(try APIKeyLife.decide(.revoke, active) == [.revoked])
        #expect(try APIKeyLife.decide(.revoke, .revoked) == [])
        #expect(APIKeyLife.replay([created, .revoked, created]) == .revoked)
        for event in [created, .revoked] {
            #expect(try APIKeyEvent(type: event.recorded.type, data: event.recorded.data) == event)
        }
        #expect(throws: EventStoreError.self) { try APIKeyEvent(type: "APIKeyCreated", data: .object([:])) }
    }

    @Test func aRevokedKeysRowOpensNothing() {
        #expect(PrivateRow.apiKey(hash: "h", keyID: "k1", in: .default).activeAPIKeyID == "k1")
        #expect(PrivateRow.apiKey(hash: "h", keyID: "k1", in: .default, revoked: true).activeAPIKeyID == nil)
        #expect(
            PrivateRow(kind: "other", key: "h", group: .default, value: .object(["id": .string("k")])).activeAPIKeyID
                == nil)
    }
}
