import APIService
import ComputeCore
import ComputeDomain
import Glibc
import HTTPTypes
import PostgresClient
import ServiceLifecycle
import TestSupport
import Testing

struct ReplicaTests {
    @Test func whatOneMakesAllSee() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                for maker in 0..<3 {
                    let (status, id) = try await replicas.create(maker)
                    #expect(status == 201 || status == 200, "\(status)")
                    for reader in 0..<3 {
                        let answer = try await replicas.send(reader, .get, "/v1/sandboxes/\(id)")
                        #expect(answer.status == 200)
                        #expect(answer.json["data"]?["sandboxId"]?.text == id)
                    }
                }
                for reader in 0..<3 {
                    let list = try await replicas.send(reader, .get, "/v1/sandboxes")
                    #expect(list.json["data"]?.count == 3)
                    // Each was requested and started. A commit that is being made elsewhere delays the log.
                    let path = "/v1/events?type=ComputeRequested,ComputeStarted"
                    let isComplete = await eventually {
                        try await replicas.send(reader, .get, path).json["data"]?.count == 6
                    }
                    #expect(isComplete)
                }
            }
        }
    }

    @Test func whatOneDeletesIsGoneForAll() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                let (_, id) = try await replicas.create(0)
                let before = try await replicas.send(1, .get, "/v1/sandboxes/\(id)")
                let deleted = try await replicas.send(1, .delete, "/v1/sandboxes/\(id)")
                #expect(before.status == 200 && (200..<300).contains(deleted.status))
                for reader in 0..<3 {
                    let after = try await replicas.send(reader, .get, "/v1/sandboxes/\(id)")
                    #expect(after.status == 404 || after.json["data"]?["status"] != before.json["data"]?["status"])
                }
            }
        }
    }

    @Test func racingRequestsForANameGiveOneComputeWhereverTheyArrive() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                let answers = try await withThrowingTaskGroup(of: (Int, String).self) { group in
                    for n in 0..<30 {
                        group.addTask {
                            try await replicas.create(
                                n, "/v1/sandboxes/find-or-create", #"{"name":"dev","namespace":"default"}"#)
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(Set(answers.map(\.1)).count == 1)
                #expect(answers.allSatisfy { (200..<300).contains($0.0) }, "\(answers.map(\.0))")
            }
        }
    }

    @Test func racingCreatesKeepTheQuotaOfAllTogether() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase(), computesPerGroup: 4) { replicas in
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for n in 0..<15 { group.addTask { try await replicas.create(n).0 } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(statuses.count { (200..<300).contains($0) } == 4, "\(statuses)")
                #expect(statuses.count { $0 == 429 } == 11, "\(statuses)")
            }
        }
    }

    @Test func racingPoolsKeepTheQuotaOfAllTogether() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                let limited = try await replicas.send(0, .put, "/v1/groups/default/quotas", #"{"poolMembers":20}"#)
                let template = try await replicas.send(1, .post, "/v1/templates", #"{"name":"t"}"#)
                #expect(limited.status == 200 && template.status == 200)
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for n in 0..<15 {
                        group.addTask {
                            let body = #"{"name":"p\#(n)","templateId":"t","min":0,"max":5}"#
                            return try await replicas.send(n, .post, "/v1/pools", body).status
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(statuses.count { $0 == 200 } == 4 && statuses.count { $0 == 429 } == 11, "\(statuses)")
                for reader in 0..<3 {
                    let quotas = try await replicas.send(reader, .get, "/v1/groups/default/quotas")
                    #expect(quotas.json["data"]?["used"]?["poolMembers"] == .int(20))
                }
            }
        }
    }

    @Test func aKeyOfOneIsGoodForAllUntilAnyOfThemRevokesIt() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                for maker in 0..<3 {
                    let made = try await replicas.send(maker, .post, "/v1/keys", #"{"role":"viewer"}"#)
                    let (id, key) = (made.json["data"]?["keyId"]?.text ?? "", made.json["data"]?["key"]?.text ?? "")
                    for reader in 0..<3 {
                        #expect(try await replicas.send(reader, .get, "/v1/sandboxes", key: key).status == 200)
                    }
                    let revoked = try await replicas.send(maker + 1, .delete, "/v1/keys/\(id)")
                    #expect(revoked.status == 200)
                    for reader in 0..<3 {
                        #expect(try await replicas.send(reader, .get, "/v1/sandboxes", key: key).status == 401)
                    }
                }
            }
        }
    }

    @Test func aRepeatedCreateMakesOneComputeWhereverItArrives() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                let repeated: HTTPFields = [HTTPField.Name("Idempotency-Key")!: "once"]
                let answers = try await withThrowingTaskGroup(of: (Int, String?).self) { group in
                    for n in 0..<15 {
                        group.addTask {
                            let answer = try await replicas.send(n, .post, "/v1/sandboxes", "{}", headers: repeated)
                            return (answer.status, answer.json["data"]?["sandboxId"]?.text)
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(Set(answers.map(\.1)).count == 1 && answers.allSatisfy { (200..<300).contains($0.0) })
                // Who says the same key of something else is told so everywhere.
                for replica in 0..<3 {
                    let other = try await replicas.send(
                        replica, .post, "/v1/sandboxes", #"{"timeout":1000}"#, headers: repeated)
                    #expect(other.json["field"]?.text == "Idempotency-Key", "\(other)")
                }
            }
        }
    }

    @Test func aReaderGoesOnAtAnotherOneWhereItStopped() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                var made: Set<String> = []
                for maker in 0..<6 { made.insert(try await replicas.create(maker).1) }
                var (seen, cursor, reader) = ([String](), "", 0)
                let isComplete = await eventually {
                    reader += 1
                    let page = try await replicas.send(
                        reader, .get, "/v1/events?type=ComputeStarted&limit=1&after=\(cursor)")
                    guard case .array(let events)? = page.json["data"] else { return false }
                    seen += events.compactMap { $0["sandboxId"]?.text }
                    cursor = page.json["cursor"]?.text ?? ""
                    return seen.count >= 6
                }
                #expect(isComplete && Set(seen) == made && seen.count == 6, "none twice, none left out: \(seen)")
            }
        }
    }

    @Test func whatGroupsTookIsTheSameForAll() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                for maker in 0..<6 {
                    let (_, id) = try await replicas.create(maker)
                    #expect(try await replicas.send(maker + 1, .delete, "/v1/sandboxes/\(id)").status == 200)
                }
                let usage = try await replicas.send(0, .get, "/v1/usage").json["data"]?["total"]
                #expect(
                    usage?["computeSeconds"].flatMap { $0 == .double(0) || $0 == .int(0) } == false, "\(usage as Any)")
                for reader in 1..<3 {
                    #expect(try await replicas.send(reader, .get, "/v1/usage").json["data"]?["total"] == usage)
                }
            }
        }
    }

    @Test func aWebhookIsToldOnceByOneOfThemAndByAnotherOnceThatIsGone() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                let hook = #"{"url":"https://hooks.example/","types":["ComputeStarted"]}"#
                #expect(try await replicas.send(0, .post, "/v1/webhooks", hook).status < 300)
                let dispatchers = replicas.servers.map {
                    ServiceGroup(services: [$0.dispatcher], logger: silent)
                }
                func isTold(_ count: Int) async -> Bool {
                    await eventually { Set(replicas.receivers.messages.map(\.message.id)).count == count }
                }
                try await withThrowingDiscardingTaskGroup { group in
                    for dispatcher in dispatchers { group.addTask { try await dispatcher.run() } }
                    for maker in 0..<6 { _ = try await replicas.create(maker) }
                    #expect(await isTold(6))
                    // One after the other is stopped; whoever is left goes on.
                    for (index, dispatcher) in dispatchers.dropLast().enumerated() {
                        await dispatcher.triggerGracefulShutdown()
                        _ = try await replicas.create(index)
                        #expect(await isTold(7 + index))
                    }
                    await dispatchers.last?.triggerGracefulShutdown()
                }
                #expect(replicas.receivers.messages.count == 8, "none of them twice")
            }
        }
    }

    @Test func aFrozenDatabaseIsA503WithinTheDeadline() async throws {
        try await PostgresServer.with { server in
            var database = try await server.freshDatabase()
            database.deadline = .seconds(3)
            try await Replicas.with(database) { replicas in
                let (_, id) = try await replicas.create(0)
                server.signalAll(SIGSTOP)
                let clock = ContinuousClock()
                let elapsed = try await clock.measure {
                    let read = try await replicas.send(1, .get, "/v1/sandboxes/\(id)")
                    let create = try await replicas.send(2, .post, "/v1/sandboxes", "{}")
                    #expect(read.status == 503 && create.status == 503)
                }
                server.signalAll(SIGCONT)
                #expect(elapsed < .seconds(30))
                let isBack = await eventually {
                    try await replicas.send(1, .get, "/v1/sandboxes/\(id)").status == 200
                }
                #expect(isBack)
            }
        }
    }

    @Test func withoutTheDatabaseAllAnswer503AndAreBackByThemselves() async throws {
        try await PostgresServer.with { server in
            try await Replicas.with(try await server.freshDatabase()) { replicas in
                let (_, id) = try await replicas.create(0)
                await server.kill()
                for replica in 0..<3 {
                    let down = try await replicas.send(replica, .get, "/v1/sandboxes/\(id)")
                    #expect(down.status == 503)
                    #expect(down.retryAfter.flatMap { Int($0) } != nil)
                    #expect(try await replicas.create(replica).0 == 503)
                }
                try await server.start()
                let clock = ContinuousClock()
                let elapsed = await clock.measure {
                    for replica in 0..<3 {
                        #expect(
                            await eventually {
                                try await replicas.send(replica, .get, "/v1/sandboxes/\(id)").status == 200
                            })
                    }
                }
                #expect(elapsed < .seconds(15))
            }
        }
    }
}
