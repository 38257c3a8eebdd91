import ComputeCore
import NIOHTTP1
import Testing

/// `/env` of the real executable.
struct EnvFileTests {
    @Test func variablesAreMergedReadAndRemoved() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            #expect(try await place.authorized(.HEAD, "/env?file=.env").status == 404)
            #expect(try await place.authorized(.GET, "/env").status == 404)
            let set = try await place.authorized(.POST, "/env", body: #"{"variables":{"B":"x y","A":"1"}}"#)
            #expect(set.status == 200, "\(set.body)")
            #expect(set.data("file") == ".env")
            #expect(set.json["data"]?.members["keys"] == .array([.string("A"), .string("B")]))
            #expect(try await place.authorized(.HEAD, "/env").status == 200)
            #expect(try await place.command(". ./.env; echo \"$A $B\"; stat -c %a .env").stdout == "1 x y\n600\n")
            let read = try await place.authorized(.GET, "/env?file=.env")
            #expect(read.json["data"]?.members["variables"]?.members == ["A": .string("1"), "B": .string("x y")])
            let removed = try await place.authorized(.DELETE, "/env?file=.env", body: #"{"keys":["A","C"]}"#)
            #expect(removed.json["data"]?.members["keys"] == .array([.string("A")]))
            let left = try await place.authorized(.GET, "/env?file=.env")
            #expect(left.json["data"]?.members["variables"]?.members == ["B": .string("x y")])
        }
    }

    @Test func racingMergesLoseNothing() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        try await place.authorized(.POST, "/env", body: #"{"variables":{"V\#(number)":"1"}}"#).status
                    }
                }
                for try await status in group { #expect(status == 200) }
            }
            let read = try await place.authorized(.GET, "/env")
            #expect(read.json["data"]?.members["variables"]?.members.count == 20)
        }
    }

    @Test func badRequestsAreRefusedByField() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let refused: [(HTTPMethod, String, String, Int, String)] = [
                (.POST, "", "{}", 400, "variables"), (.POST, "", #"{"variables":{"A":1}}"#, 400, "variables.A"),
                (.POST, "", #"{"variables":{"A=":"1"}}"#, 400, "variables"),
                (.POST, "", #"{"variables":{"A":"\u0000"}}"#, 400, "variables.A"),
                (.POST, "?file=../x", #"{"variables":{}}"#, 400, "file"), (.DELETE, "", "{}", 400, "keys"),
                (.DELETE, "", #"{"keys":[1]}"#, 400, "keys"), (.DELETE, "", #"{"keys":["A"]}"#, 404, "file"),
                (.GET, "?file=.", "", 409, "file"),
            ]
            for (method, query, body, status, field) in refused {
                let answer = try await place.authorized(method, "/env" + query, body: body)
                #expect(answer.status == status, "\(method) \(query) \(body) \(answer.body)")
                #expect(answer.text("field") == field, "\(method) \(query) \(body)")
            }
        }
    }
}
