import APIService
import ComputeCore
import ComputeDomain
import EventSourcing
import HTTPTypes
import TestSupport
import Testing

struct TemplateRoutesTests {
    @Test func aTemplateIsMadeListedRevisedAndDeleted() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let made = try await api.template("python", #""image":"python:3.12","envs":{"A":"1"},"timeout":60000"#)
            let id = made["data", "templateId"]?.text ?? ""
            #expect(made.status == 200 && made["data", "revision"] == .int(1), "\(made.text)")
            #expect(made["data", "image"]?.text == "python:3.12" && made["data", "timeout"] == .int(60_000))
            #expect(made["data", "createdAt"] == made["data", "updatedAt"])
            for path in [id, "python"] {
                #expect(try await api.send(.get, "/v1/templates/\(path)")["data"] == made["data"], "by id or name")
            }
            for name in ["a", "z"] { _ = try await api.template(name) }
            let first = try await api.send(.get, "/v1/templates?limit=2")
            #expect(first.list.map { $0["name"]?.text } == ["a", "python"])
            #expect(first.list.last == made["data"])
            let rest = try await api.send(.get, "/v1/templates?limit=2&cursor=\(first["next"]?.text ?? "")")
            #expect(rest.list.map { $0["name"]?.text } == ["z"] && rest["next"] == nil)

            world.clock.advance(by: .seconds(5))
            let body = #"{"name":"python","description":"newer","image":"python:3.13"}"#
            let revised = try await api.send(.put, "/v1/templates/\(id)", body)
            #expect(revised.status == 200 && revised["data", "revision"] == .int(2), "\(revised.text)")
            #expect(revised["data", "envs"] == nil, "what it does not say any more it does not say")
            #expect(revised["data", "createdAt"] == made["data", "createdAt"])
            #expect(revised["data", "updatedAt"] != made["data", "updatedAt"])

            let all = try await api.send(.get, "/v1/templates/\(id)/revisions")
            #expect(all.list.map { $0["image"]?.text } == ["python:3.13", "python:3.12"])
            #expect(all.list.map { $0["revision"] } == [.int(2), .int(1)])
            let one = try await api.send(.get, "/v1/templates/python/revisions/1")
            #expect(one["data"] == all.list.last && one["data", "envs"] == .object(["A": .string("1")]))
            for revision in ["0", "3", "x", "-1", "99999999999999999999"] {
                let reply = try await api.send(.get, "/v1/templates/\(id)/revisions/\(revision)")
                #expect(reply.status == 404, "\(revision): \(reply.text)")
            }

            #expect(try await api.send(.delete, "/v1/templates/\(id)").status == 200)
            for path in ["", "/revisions", "/revisions/1"] {
                #expect(try await api.send(.get, "/v1/templates/\(id)\(path)").status == 404)
            }
            #expect(try await api.send(.delete, "/v1/templates/\(id)").status == 404)
            #expect(try await api.send(.put, "/v1/templates/\(id)", body).status == 404)
            let again = try await api.template("python")
            #expect(again.status == 200 && again["data", "templateId"]?.text != id, "the name is free again")
            #expect(again["data", "revision"] == .int(1))
        }
    }

    @Test func whatSaysNothingNewIsNoRevision() async throws {
        try await World().withAPI { api async throws in
            let made = try await api.template("a", #""image":"i:1""#)
            let same = try await api.send(.put, "/v1/templates/a", #"{"name":"a","image":"i:1"}"#)
            #expect(same["data"] == made["data"], "\(same.text)")
            // What was read can be written back, whole.
            let back = try await api.send(.put, "/v1/templates/a", try made.body(of: "data"))
            #expect(back["data"] == made["data"], "\(back.text)")
        }
    }

    @Test func whoMissedARevisionDoesNotUndoIt() async throws {
        try await World().withAPI { api async throws in
            _ = try await api.template("a")
            let path = "/v1/templates/a"
            #expect(try await api.send(.put, path, #"{"name":"a","image":"i:2","revision":1}"#).status == 200)
            let late = try await api.send(.put, path, #"{"name":"a","image":"i:3","revision":1}"#)
            #expect(late.status == 409 && late["field"] == .string("revision"), "\(late.text)")
            let repeated = try await api.send(.put, path, #"{"name":"a","image":"i:2","revision":1}"#)
            #expect(repeated.status == 200 && repeated["data", "revision"] == .int(2), "his own, once more")
            // Of many who started from the same one gets through.
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for n in 0..<6 {
                    group.addTask {
                        try await api.send(.put, path, #"{"name":"a","image":"n:\#(n)","revision":2}"#).status
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 200 } == 1 && statuses.count { $0 == 409 } == 5, "\(statuses)")
            #expect(try await api.send(.get, path)["data", "revision"] == .int(3))
        }
    }

    @Test func aNameIsOneTemplatesAlone() async throws {
        try await World().withAPI { api async throws in
            _ = try await api.template("a")
            let b = try await api.template("b")["data", "templateId"]?.text ?? ""
            for (method, path) in [(HTTPRequest.Method.post, "/v1/templates"), (.put, "/v1/templates/\(b)")] {
                let reply = try await api.send(method, path, #"{"name":"a"}"#)
                #expect(reply.status == 409 && reply["field"] == .string("name"), "\(reply.text)")
            }
            #expect(try await api.send(.put, "/v1/templates/b", #"{"name":"c"}"#)["data", "name"]?.text == "c")
            #expect(try await api.send(.get, "/v1/templates/b").status == 404)
            #expect(try await api.send(.get, "/v1/templates/c")["data", "templateId"]?.text == b)
            #expect(try await api.template("b").status == 200, "which is free now")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 { group.addTask { try await api.template("race").status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 200 } == 1 && statuses.count { $0 == 409 } == 7, "\(statuses)")
        }
    }

    @Test func aGroupHasOnlySoManyTemplates() async throws {
        try await World { $0.templatesPerGroup = 3 }.withAPI { api async throws in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for n in 0..<8 { group.addTask { try await api.template("t\(n)").status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 200 } == 3 && statuses.count { $0 == 429 } == 5, "\(statuses)")
            let name = try await api.send(.get, "/v1/templates").list.first?["name"]?.text ?? ""
            #expect(try await api.send(.put, "/v1/templates/\(name)", #"{"name":"new"}"#).status == 200, "no more")
            #expect(try await api.send(.delete, "/v1/templates/new").status == 200)
            #expect(try await api.template("room").status == 200)
        }
    }

    @Test func onlyTheNewestRevisionsAreKept() async throws {
        try await World().withAPI { api async throws in
            _ = try await api.template("a")
            for n in 2...(TemplateRevision.kept + 2) {
                let reply = try await api.send(.put, "/v1/templates/a", #"{"name":"a","timeout":\#(n * 1000)}"#)
                #expect(reply["data", "revision"] == .int(n))
            }
            #expect(try await api.send(.get, "/v1/templates/a/revisions/2").status == 404)
            let oldest = try await api.send(.get, "/v1/templates/a/revisions/3")
            #expect(oldest["data", "timeout"] == .int(3000), "\(oldest.text)")
            var (numbers, next) = ([JSONValue?](), String?.none)
            repeat {
                let cursor = next.map { "&cursor=\($0)" } ?? ""
                let page = try await api.send(.get, "/v1/templates/a/revisions?limit=30\(cursor)")
                numbers += page.list.map { $0["revision"] }
                next = page["next"]?.text
            } while next != nil
            #expect(numbers == stride(from: TemplateRevision.kept + 2, through: 3, by: -1).map { .int($0) })
            #expect(try await api.send(.get, "/v1/templates/a/revisions?cursor=x").status == 400)
            #expect(try await api.send(.get, "/v1/templates?cursor=x").status == 400)
        }
    }

    @Test func eventsTellOfItAndNotWhatItSays() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            let id = try await api.template("a", #""envs":{"A":"value-of-a"}"#)["data", "templateId"]?.text ?? ""
            _ = try await api.send(.put, "/v1/templates/a", #"{"name":"b","description":"d"}"#)
            _ = try await api.send(.delete, "/v1/templates/b")
            let events = try await api.send(.get, "/v1/events")
            let of = events.list.filter { $0["subject"] == .string("template/\(id)") }
            #expect(of.map { $0["type"]?.text } == ["TemplateCreated", "TemplateRevised", "TemplateDeleted"])
            #expect(of.map { $0["data"]?["revision"] } == [.int(1), .int(2), nil])
            #expect(of.map { $0["data"]?["name"]?.text } == ["a", "b", nil])
            #expect(!events.text.contains("value-of-a"))
            #expect(!world.logs.all.contains { $0.contains("value-of-a") })
        }
    }

    @Test func anotherGroupsTemplateIsAsIfAbsent() async throws {
        let world = World()
        try await world.withAPI { api async throws in
            try await world.make(group: "tenant")
            let tenant = API(client: api.client, key: try await world.key(of: "tenant"))
            let id = try await api.template("mine")["data", "templateId"]?.text ?? ""
            for path in [id, "mine"] {
                for (method, body) in [(HTTPRequest.Method.get, nil), (.put, #"{"name":"x"}"#), (.delete, nil)] {
                    #expect(try await tenant.send(method, "/v1/templates/\(path)", body).status == 404)
                }
                let create = try await tenant.create(#"{"templateId":"\#(path)"}"#)
                #expect(create.status == 400 && create["field"] == .string("templateId"), "\(create.text)")
            }
            #expect(try await tenant.send(.get, "/v1/templates").list.isEmpty)
            #expect(try await tenant.template("mine").status == 200, "names are of a group")
        }
    }
}

extension API {
    /// - Parameter defaults: fields of a create, as JSON without braces.
    func template(_ name: String, _ defaults: String = "") async throws -> Reply {
        let rest = defaults.isEmpty ? "" : "," + defaults
        return try await send(.post, "/v1/templates", #"{"name":"\#(name)"\#(rest)}"#)
    }
}

extension Reply {
    /// That field of the answer, as the body of a request.
    fileprivate func body(of field: String) throws -> String {
        String(decoding: try #require(self[field]).utf8, as: UTF8.self)
    }
}
