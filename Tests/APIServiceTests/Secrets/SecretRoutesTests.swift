import APIContract
import APIService
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import TestSupport
import Testing

private let canary = "canary-c41d07"

/// `/v1/secrets`: in, listed, replaced, gone, and never out again.
struct SecretRoutesTests {
    @Test func aSecretIsWrittenListedReplacedAndDeleted() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let made = try await api.send(.post, "/v1/secrets", #"{"name":"db","value":"\#(canary)"}"#)
            #expect(made.status == 200, "\(made.text)")
            #expect(made["data", "version"] == .int(1))
            world.clock.advance(by: .seconds(5))
            let replaced = try await api.send(.put, "/v1/secrets/db", #"{"value":"\#(canary)-2"}"#)
            #expect(replaced["data", "version"] == .int(2))
            #expect(replaced["data", "createdAt"] == made["data", "createdAt"])
            #expect(replaced["data", "updatedAt"] != made["data", "updatedAt"])
            #expect(try await api.send(.get, "/v1/secrets/db").json == replaced.json)
            _ = try await api.send(.put, "/v1/secrets/a", #"{"valueBase64":"AP8="}"#)
            let list = try await api.send(.get, "/v1/secrets?limit=1")
            #expect(list.list.count == 1)
            let next = try #require(list["next"]?.text)
            let rest = try await api.send(.get, "/v1/secrets?limit=1&cursor=\(next)")
            #expect(rest.list == [replaced["data"]])
            #expect(rest["next"] == nil)
            for reply in [made, replaced, list, rest] { #expect(!reply.text.contains("canary")) }
            #expect(try await api.send(.delete, "/v1/secrets/db").status == 200)
            #expect(try await api.send(.get, "/v1/secrets/db").status == 404)
            #expect(try await api.send(.delete, "/v1/secrets/db").status == 404)
            #expect(try await world.store.counter(.secrets(in: .default)) == 1)
        }
    }

    @Test func whatMakesNoSenseIsRefusedByItsField() async throws {
        try await World().withAPI { api async throws in
            let long = String(repeating: "x", count: WriteSecret.maxBytes + 1)
            for (body, field) in [
                ("{}", "name"), (#"{"name":"a b","value":"x"}"#, "name"), (#"{"name":"a"}"#, "value"),
                (#"{"name":"a","value":5}"#, "value"), (#"{"name":"a","valueBase64":"%"}"#, "valueBase64"),
                (#"{"name":"a","value":"x","valueBase64":"eA=="}"#, "valueBase64"),
                (#"{"name":"a","value":"\#(long)"}"#, "value"),
            ] {
                let reply = try await api.send(.post, "/v1/secrets", body)
                #expect(reply.status == 400 && reply["field"] == .string(field), "\(reply.text.prefix(200))")
            }
            #expect(try await api.send(.put, "/v1/secrets/a%20b", #"{"value":"x"}"#)["field"] == .string("name"))
            #expect(try await api.send(.get, "/v1/secrets/a%20b").status == 404)
            #expect(try await api.send(.get, "/v1/secrets?cursor=abc")["field"] == .string("cursor"))
            #expect(try await api.send(.patch, "/v1/secrets/a").status == 405)
            _ = try await api.send(.post, "/v1/secrets", #"{"name":"a","value":"x"}"#)
            let twice = try await api.send(.post, "/v1/secrets", #"{"name":"a","value":"x"}"#)
            #expect(twice.status == 409 && twice["field"] == .string("name"))
            #expect(try await api.send(.get, "/v1/secrets", authenticated: false).status == 401)
        }
    }

    @Test func anotherGroupsSecretDoesNotExist() async throws {
        let world = World()
        try await world.withAPI(as: GroupID("one")) { api async throws in
            #expect(try await api.send(.put, "/v1/secrets/db", #"{"value":"x"}"#).status == 200)
        }
        try await world.withAPI(as: GroupID("two")) { api async throws in
            #expect(try await api.send(.get, "/v1/secrets/db").status == 404)
            #expect(try await api.send(.delete, "/v1/secrets/db").status == 404)
            #expect(try await api.send(.get, "/v1/secrets").list.isEmpty)
            let create = try await api.create(#"{"secrets":[{"name":"db","env":"DB"}]}"#)
            #expect(create.status == 400 && create["field"] == .string("secrets[0].name"), "\(create.text)")
            // Its own of that name starts at its own first version.
            #expect(try await api.send(.put, "/v1/secrets/db", #"{"value":"y"}"#)["data", "version"] == .int(1))
        }
    }

    @Test func aGroupHasOnlySoManySecretsAlsoWhenTheyRace() async throws {
        let world = World { $0.secretsPerGroup = 3 }
        try await world.withAPI { api async throws in
            let made = try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<8 {
                    group.addTask { try await api.send(.put, "/v1/secrets/s\(index)", #"{"value":"x"}"#).status }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(made.count { $0 == 200 } == 3 && made.count { $0 == 429 } == 5, "\(made)")
            let names = try await api.send(.get, "/v1/secrets").list.count
            #expect(names == 3)
            let first = try #require(
                try await world.store.inner.secrets(in: .default, after: nil, limit: 1).secrets.first)
            // Another version is no other secret.
            #expect(try await api.send(.put, "/v1/secrets/\(first.name)", #"{"value":"x"}"#).status == 200)
            _ = try await api.send(.delete, "/v1/secrets/\(first.name)")
            #expect(try await api.send(.put, "/v1/secrets/other", #"{"value":"x"}"#).status == 200)
        }
    }

    @Test func racingWritesOfOneSecretAreVersionsOfTheirOwn() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<4 {
                    group.addTask { try await api.send(.put, "/v1/secrets/a", #"{"value":"v\#(index)"}"#).status }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses == [200, 200, 200, 200])
            #expect(try await world.store.inner.secret(SecretName("a")!, in: .default)?.version == 4)
        }
    }

    @Test func onlyTheNewestVersionsAreKeptAndAfterTheEndNone() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            for _ in 0..<12 { _ = try await api.send(.put, "/v1/secrets/a", #"{"value":"x"}"#) }
            func kept(_ version: Int64) async throws -> Bool {
                let key = SecretValueRow.Key(group: .default, name: SecretName("a")!, version: version)
                return try await world.store.inner.secretValue(key) != nil
            }
            #expect(try await kept(2) == false)
            #expect(try await kept(3))
            #expect(try await kept(12))
            _ = try await api.send(.delete, "/v1/secrets/a")
            #expect(try await kept(12) == false)
        }
    }

    @Test func noEventNoLogAndNoRowHoldsAValue() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            _ = try await api.send(.post, "/v1/secrets", #"{"name":"a","value":"\#(canary)"}"#)
            _ = try await api.send(.put, "/v1/secrets/a", #"{"value":"\#(canary)","x":{"#)
            _ = try await api.send(.put, "/v1/secrets/a", #"{"value":["\#(canary)"]}"#)
            world.store.failCommits { _ in true }
            #expect(try await api.send(.put, "/v1/secrets/a", #"{"value":"\#(canary)"}"#).status == 503)
            world.store.failCommits(nil)
            _ = try await api.create(#"{"secrets":[{"name":"a","env":"A"},{"name":"a","path":"/run/a"}]}"#)
            let events = try await api.send(.get, "/v1/events")
            #expect(events.text.contains("secretNames"))
            #expect(!events.text.contains("canary"))
        }
        #expect(!world.logs.all.joined().contains("canary"))
        let log = try await world.store.events(after: nil, matching: EventFilter(), limit: 1000).events
        #expect(log.contains { $0.type == "SecretWritten" })
        #expect(!"\(log)".contains("canary"))
        let row = try #require(
            try await world.store.inner.secretValue(
                SecretValueRow.Key(group: .default, name: SecretName("a")!, version: 1)))
        #expect(!String(decoding: row.ciphertext + row.wrappedKey, as: UTF8.self).contains("canary"))
    }
}
