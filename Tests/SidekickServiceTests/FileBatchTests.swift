import ComputeCore
import NIOHTTP1
import Testing

struct FileBatchTests {
    private static func batch(_ place: SidekickPlace, _ operations: [[String: String]]) async throws
        -> SidekickPlace.Answer
    {
        let items = operations.map { JSONValue.object($0.mapValues(JSONValue.string)) }
        return try await place.authorized(.POST, "/files/batch", body: JSONValue.object(["files": .array(items)]).line)
    }

    private static func results(_ answer: SidekickPlace.Answer) -> [[String: JSONValue]] {
        guard case .array(let results)? = answer.json["data"]?.members["results"] else { return [] }
        return results.map(\.members)
    }

    @Test func theLastOperationOfAPathWinsAndWorkIsInPathOrder() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let answer = try await Self.batch(
                place,
                [
                    ["path": "b/x", "operation": "write", "content": "1"],
                    ["path": "a", "operation": "write", "content": "first"],
                    ["path": "\(place.home)/a", "operation": "write", "content": "last"],
                    ["path": "b/x", "operation": "write", "content": "AAE=", "encoding": "base64"],
                ])
            #expect(answer.status == 200, "\(answer.body)")
            #expect(Self.results(answer).map { $0["path"]?.text } == ["\(place.home)/a", "b/x"])
            #expect(Self.results(answer)[1]["file"]?.members["size"] == .int(2))
            #expect(try await place.command("cat a; wc -c < b/x").stdout == "last2\n")
        }
    }

    @Test func namesThatLookTheSameAreDifferentFiles() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let answer = try await Self.batch(
                place,
                [
                    ["path": "caf\u{E9}", "operation": "write", "content": "1"],
                    ["path": "cafe\u{301}", "operation": "write", "content": "22"],
                    ["path": "new/\u{301}x", "operation": "write", "content": "333"],
                ])
            #expect(answer.status == 200 && Self.results(answer).count == 3, "\(answer.body)")
            #expect(try await place.command("ls | wc -l; cat new/*").stdout == "3\n333")
        }
    }

    @Test func someFailuresAreToldOneByOneAndKeepNothingElseBack() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let answer = try await Self.batch(
                place,
                [
                    ["path": "good", "operation": "write", "content": "x"],
                    ["path": "missing", "operation": "delete"],
                    ["path": "good/below", "operation": "write", "content": "x"],
                    ["path": "/", "operation": "delete"],
                ])
            #expect(answer.status == 207)
            let results = Self.results(answer)
            #expect(results.map { $0["success"] } == [.bool(false), .bool(true), .bool(false), .bool(false)])
            #expect(results[3]["code"]?.text == "not_found")
            #expect(results[0]["error"]?.text?.isEmpty == false)
            #expect(try await place.command("cat good").stdout == "x")
        }
    }

    @Test func brokenOperationsAreRefusedByFieldBeforeAnythingIsDone() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let good = #"{"path":"good","operation":"write"}"#
            for (items, field) in [
                ("5", "files"), (#"[\#(good),1]"#, "files[1]"), (#"[\#(good),{"operation":"write"}]"#, "files[1].path"),
                (#"[\#(good),{"path":"../x","operation":"write"}]"#, "files[1].path"),
                (#"[\#(good),{"path":"x"}]"#, "files[1].operation"),
                (#"[\#(good),{"path":"x","operation":"move"}]"#, "files[1].operation"),
                (#"[\#(good),{"path":"x","operation":"write","content":"%","encoding":"base64"}]"#, "files[1].content"),
            ] {
                let answer = try await place.authorized(.POST, "/files/batch", body: #"{"files":\#(items)}"#)
                #expect(answer.status == 400, "\(items)")
                #expect(answer.text("field") == field, "\(items)")
            }
            #expect(try await place.authorized(.HEAD, "/files/good").status == 404)
        }
    }

    @Test func concurrentBatchesNeitherDeadlockNorMix() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let names = ["a", "b", "c", "d", "e"]
            try await withThrowingTaskGroup(of: Int.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        let order = writer % 2 == 0 ? names : names.reversed()
                        let operations = order.map { ["path": $0, "operation": "write", "content": "\(writer)"] }
                        return try await Self.batch(place, operations).status
                    }
                }
                for try await status in group { #expect(status == 200) }
            }
            // All by the one that came last.
            let contents = try await place.command("cat a b c d e").stdout ?? ""
            #expect(Set(contents).count == 1 && contents.count == 5, "\(contents)")
        }
    }
}
