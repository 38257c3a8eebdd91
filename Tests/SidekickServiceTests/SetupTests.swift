import ComputeCore
import Crypto
import FoundationEssentials
import NIOHTTP1
import SidekickProtocol
import Testing

/// What is ordered with the claim.
struct SetupTests {
    private static func setup(_ place: SidekickPlace, target: String = "app") -> JSONValue {
        .object([
            "overlays": .array([.object(["source": .string(place.home + "/t"), "target": .string(target)])])
        ])
    }

    private static func servers(_ needs: [String: [String]]) -> JSONValue {
        let servers = needs.sorted { $0.key < $1.key }.map { slug, needed in
            JSONValue.object([
                "slug": .string(slug), "start": .string("sleep 600"),
                "depends_on": .array(needed.map(JSONValue.string)),
            ])
        }
        return .object(["servers": .array(servers)])
    }

    @Test func serversOfTheClaimStartInTheOrderInWhichTheyNeedEachOther() async throws {
        try await SidekickPlace().run { place in
            #expect(try await place.claim(setup: Self.servers(["a": ["b"], "b": ["c"], "c": []])).status == 200)
            for slug in ["a", "b", "c"] { try await place.server(slug, becomes: "running") }
            #expect(
                try await place.send(.GET, "/ready").json["setup"]?.members["status"] == .string("complete"))
        }
    }

    private static func makeTemplate(_ place: SidekickPlace) throws {
        try FileManager.default.createDirectory(atPath: place.home + "/t", withIntermediateDirectories: true)
        try Data("a".utf8).write(to: URL(filePath: place.home + "/t/a"))
    }

    private static func text(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func overlaysOfTheClaimAndOfTheVariableAreCopiedOnce() async throws {
        let place = try SidekickPlace()
        try Self.makeTemplate(place)
        let variable = Data(Self.setup(place, target: "second").line.utf8).base64EncodedString()
        try await place.run { place in
            let claimed = try await place.claim(
                setup: Self.setup(place), env: ["COMPUTESDK_SETUP_B64": variable])
            #expect(claimed.status == 200, "\(claimed.body)")
            try await eventually("the setup") {
                try await place.send(.GET, "/ready").json["ready"] == .bool(true)
            }
            let setup = try await place.send(.GET, "/ready").json["setup"]
            #expect(setup?.members["status"] == .string("complete"))
            #expect(Self.text(place.home + "/app/a") == "a")
            #expect(Self.text(place.home + "/second/a") == "a")
            #expect(try await place.send(.GET, "/ready").json["healthy"] == .bool(true))
            _ = try await place.command("echo mine > app/a")
        }
        // What the user has made of it meanwhile is his.
        try await place.run { place in
            let kept = try await place.authorized(.GET, "/files/app/a?content=true")
            #expect(kept.text("content") == "mine\n")
            #expect(try await place.send(.GET, "/ready").json["setup"] == nil)
        }
    }

    @Test func serversOfTheClaimStartWhenItsOverlaysAreThere() async throws {
        let place = try SidekickPlace()
        try Self.makeTemplate(place)
        try await place.run { place in
            var setup = Self.setup(place).members
            setup["servers"] = .array([
                .object(["slug": .string("reader"), "start": .string("cat app/a > read; sleep 600")])
            ])
            #expect(try await place.claim(setup: .object(setup)).status == 200)
            try await eventually("the server") { Self.text(place.home + "/read") == "a" }
            let ready = try await place.send(.GET, "/ready").json
            #expect(ready["overlays"]?.elements?.count == 1)
            #expect(ready["servers"]?.elements?.first?.members["slug"] == .string("reader"))
        }
    }

    @Test func whatFailsIsShownAndEndsNothing() async throws {
        try await SidekickPlace().run { place in
            let claimed = try await place.claim(setup: Self.setup(place), env: ["COMPUTESDK_SETUP_B64": "%"])
            #expect(claimed.status == 200)
            try await eventually("the setup") {
                try await place.send(.GET, "/ready").json["setup"]?.members["status"] == .string("failed")
            }
            let ready = try await place.send(.GET, "/ready").json
            #expect(ready["ready"] == .bool(true))
            #expect(ready["healthy"] == .bool(false))
            let errors = try #require(ready["setup"]?.members["errors"]?.elements)
            #expect(errors.count == 2)
            #expect(try await place.command("echo fine").stdout == "fine\n")
        }
    }

    @Test func aClaimWithASetupThatMakesNoSenseIsRefused() async throws {
        try await SidekickPlace().run { place in
            let refused: [(JSONValue, String)] = [
                (.array([]), "setup"), (.object(["overlays": .int(1)]), "overlays"),
                (.object(["overlays": .array([.object(["source": .string("/x")])])]), "overlays[0].target"),
                (.object(["servers": .array([.int(1)])]), "servers[0]"),
                (.object(["servers": .array([.object(["slug": .string("a")])])]), "servers[0].start"),
                (Self.servers(["a": [], "b": ["nobody"]]), "servers[1].depends_on"),
                (Self.servers(["a": ["b"], "b": ["a"]]), "servers[0].depends_on"),
                (
                    .object([
                        "servers": .array(
                            ["sleep 50", "sleep 60"].map { .object(["slug": .string("a"), "start": .string($0)]) })
                    ]), "servers[1].slug"
                ),
            ]
            for (setup, field) in refused {
                let claimed = try await place.claim(setup: setup)
                #expect(claimed.status == 400, "\(claimed.body)")
                #expect(claimed.text("field") == field, "\(claimed.body)")
            }
            #expect(try await place.claim().status == 200)
        }
    }
}

extension SidekickPlace {
    fileprivate func claim(setup: JSONValue?, env: [String: String] = [:]) async throws -> Answer {
        let order = ClaimOrder(
            computeId: computeID, generation: .first, secret: secret, env: env, directory: nil,
            url: "http://localhost/s/\(computeID)", portURLTemplate: nil, setup: setup)
        let body = try JSONEncoder().encode(order)
        let credential = ClaimCredential(
            member: member, computeID: computeID, generation: .first,
            expiresAt: SystemWallClock().now() + ClaimCredential.lifetime, body: body)
        return try await send(
            .POST, "/internal/claim", body: String(decoding: body, as: UTF8.self), to: internalListen,
            headers: [ClaimCredential.header: try credential.signed(with: key)])
    }
}
