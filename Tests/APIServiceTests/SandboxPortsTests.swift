import APIContract
import APIService
import ComputeCore
import ComputeDomain
import EventSourcing
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

/// Who reaches the ports of a sandbox: `ports` of creates, templates and changes, and what the Gateway is told of it.
struct SandboxPortsTests {
    private static let order = #"{"default":{"visibility":"private"},"3000":{"visibility":"public"}}"#
    private let shut = PortAccess(usual: .private, ports: [3000: .public])

    @Test func aSandboxShowsWhoReachesItsPortsAndThatChangesPortByPort() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            for more in ["", #","name":"mine""#] {
                let made = try await api.create(#"{"ports":\#(Self.order)\#(more)}"#)
                #expect(made.status == 200 && made["data", "ports"] == shut.document, "\(made.text)")
                let path = "/v1/sandboxes/\(made.sandboxID)"
                #expect(try await api.send(.get, path)["data", "ports"] == shut.document)
                let changed = try await api.send(
                    .patch, path, #"{"ports":{"3000":null,"8080":{"visibility":"public"}}}"#)
                let now = PortAccess(usual: .private, ports: [8080: .public])
                #expect(changed.status == 200 && changed["data", "ports"] == now.document, "\(changed.text)")
                #expect(try await api.send(.patch, path, #"{"ports":{}}"#)["data", "ports"] == now.document)
                let open = try await api.send(.patch, path, #"{"ports":{"default":null,"8080":null}}"#)
                #expect(open.status == 200 && open["data", "ports"] == nil)
                let events = try await api.send(.get, "/v1/events?sandboxId=\(made.sandboxID)")
                let told = events.list.filter { $0["data"]?["ports"] != nil }
                #expect(
                    told.map { $0["type"]?.text } == ["ComputeRequested", "ComputePortsChanged", "ComputePortsChanged"])
                #expect(told.map { $0["data"]?["ports"] } == [shut.document, now.document, .object([:])])
            }
        }
    }

    @Test func aTemplateAndACreateSayItPortByPort() async throws {
        try await World().withAPI { api async throws in
            #expect(try await api.send(.post, "/v1/templates", #"{"name":"t","ports":\#(Self.order)}"#).status == 200)
            #expect(try await api.create(#"{"templateId":"t"}"#)["data", "ports"] == shut.document)
            let own = try await api.create(#"{"templateId":"t","ports":{"3000":null,"80":{"visibility":"public"}}}"#)
            #expect(own["data", "ports"]?["80"] != nil && own["data", "ports"]?["default"] != nil, "\(own.text)")
        }
    }

    @Test func faultsAreNamedAndNumbersBounded() async throws {
        try await World().withAPI { api async throws in
            let id = try await api.create().sandboxID
            func many(_ ports: ClosedRange<Int>) -> String {
                "{\"ports\":{" + ports.map { #""\#($0)":{"visibility":"private"}"# }.joined(separator: ",") + "}}"
            }
            for (body, field) in [
                (#"{"ports":{"80":{"visibility":"secret"}}}"#, "ports.80.visibility"),
                (#"{"ports":{"x":{}}}"#, "ports.x"),
                (#"{"ports":["1"]}"#, "ports"), (#"{"ports":[0]}"#, "ports"), (many(1...65), "ports"),
            ] {
                for reply in [try await api.create(body), try await api.send(.patch, "/v1/sandboxes/\(id)", body)] {
                    #expect(reply.status == 400 && reply["field"] == .string(field), "\(reply.text)")
                }
            }
            #expect(try await api.send(.patch, "/v1/sandboxes/\(id)", many(1...64)).status == 200)
            let more = try await api.send(.patch, "/v1/sandboxes/\(id)", many(65...65))
            #expect(more.status == 400 && more["field"] == .string("ports"))
            #expect(try await api.create(many(1...64)).status == 200)
        }
    }

    @Test func theGatewayIsToldAtEachChangeAndWhenItAsks() async throws {
        let world = World()
        let compute = try await world.service.create(
            CreateSandbox(.object(["ports": shut.document])), for: world.caller)
        let order = try ChangeSandbox(.object(["ports": .object(["80": .object(["visibility": .string("public")])])]))
        _ = try await world.service.change(compute.id, order, for: world.caller)
        let changed = PortAccess(usual: .private, ports: [3000: .public, 80: .public])
        try await world.server.internalApplication.test(.router) { client async throws in
            let api = API(client: client, key: "")
            let found = try await api.send(.get, "/internal/v1/routes/\(compute.id)", authenticated: false)
            #expect(try JSONDecoder().decode(RouteRecord.self, from: Data(found.bytes)).ports == changed)
            let reply = try await api.send(.get, "/internal/v1/events?wait=0", authenticated: false)
            let lines = try reply.text.split(separator: "\n").map {
                try JSONDecoder().decode(FeedLine.self, from: Data($0.utf8))
            }
            #expect(lines.compactMap(\.route).map(\.ports) == [shut, nil])
            #expect(lines.compactMap(\.ports) == [PortsRecord(computeId: compute.id, ports: changed, version: 3)])
        }
    }
}
