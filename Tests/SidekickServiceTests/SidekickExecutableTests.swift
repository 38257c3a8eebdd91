import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import SidekickService
import Subprocess
import Testing

/// The real executable, over its sockets.
struct SidekickExecutableTests {
    @Test func unclaimedMemberAnswersOnlyHealth() async throws {
        let status = try await SidekickPlace().run { place in
            #expect(try await place.send(.GET, "/health").text("status") == "ok")
            let info = try await place.send(.GET, "/info", bearer: place.secret)
            #expect(info.status == 503)
            #expect(info.headers.first(name: "Retry-After") == "1")
            #expect(try await place.send(.GET, "/internal/state").status == 503)
        }
        #expect(status == .exited(0))
    }

    @Test func warmingUpLeavesTheMemberFreeAndNothingBehind() async throws {
        try await SidekickPlace().run { place in
            let before = try FileManager.default.contentsOfDirectory(atPath: place.path + "/state")
            for _ in 0..<2 {
                let answer = try await place.send(.POST, "/internal/warm-up", to: place.internalListen)
                #expect(answer.status == 200)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: place.path + "/state") == before)
            #expect(try FileManager.default.contentsOfDirectory(atPath: place.home) == [])
            #expect(try await place.send(.POST, "/internal/warm-up").status == 503, "not for users")
            #expect(try await place.send(.GET, "/internal/warm-up", to: place.internalListen).status == 405)
            #expect(try await place.send(.GET, "/info", bearer: String(repeating: "0", count: 64)).status == 503)
            #expect(try await place.claim().status == 200)
            #expect(try await place.send(.POST, "/internal/warm-up", to: place.internalListen).status == 200)
            let counted = try await place.metric("http_requests_total{class=\"2xx\"}")
            #expect(counted == 0, "the rehearsal is nobody's request")
            #expect(place.errors == [])
        }
    }

    @Test func exactlyOneOfTwentyRacingClaimsWins() async throws {
        try await SidekickPlace().run { place in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 { group.addTask { try await place.claim(.random()).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.filter { $0 == 200 }.count == 1)
            #expect(statuses.filter { $0 == 409 }.count == 19)
        }
    }

    @Test func badCredentialsAreRefusedAndLeaveTheMemberFree() async throws {
        try await SidekickPlace().run { place in
            let refused = [
                try await place.claim(member: .random()),
                try await place.claim(lifetime: .seconds(-1)),
                try await place.claim(otherBody: true),
                try await place.send(.POST, "/internal/claim", body: "{}", to: place.internalListen),
            ]
            #expect(refused.map(\.status) == [403, 403, 403, 403])
            #expect(try await place.claim().status == 200)
        }
    }

    @Test func claimSurvivesAKillAndIsOnlyItsOwn() async throws {
        let place = try SidekickPlace()
        let killed = try await place.run(ending: .kill) { place in
            let answer = try await place.claim()
            #expect(answer.status == 200)
        }
        #expect(killed == .signaled(SIGKILL))
        try await place.run { place in
            #expect(try await place.authorized(.GET, "/info").status == 200)
            #expect(try await place.claim().status == 200)
            let other = try await place.claim(.random())
            #expect(other.status == 409)
            #expect(other.text("code") == "already_claimed")
        }
        var info = stat()
        #expect(stat(place.path + "/state/claim.json", &info) == 0)
        #expect(info.st_mode & 0o777 == 0o600)
    }

    @Test func errorsHaveTheOneBody() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            for bearer in [nil, "wrong", ""] {
                let answer = try await place.send(.GET, "/info", bearer: bearer)
                #expect(answer.status == 401)
                #expect(answer.text("code") == "unauthenticated")
            }
            let missing = try await place.send(
                .GET, "/nope", bearer: place.secret, headers: ["X-Request-Id": "req_from-gateway"])
            #expect(missing.status == 404)
            #expect(missing.text("requestId") == "req_from-gateway")
            #expect(missing.headers.first(name: "X-Request-Id") == "req_from-gateway")
            let method = try await place.authorized(.PATCH, "/files")
            #expect(method.status == 405)
            #expect(method.headers.first(name: "Allow") == "GET, POST")
            #expect(try await place.authorized(.POST, "/internal/claim").status == 404)
        }
    }

    @Test func filesAreFoundInEverySpelling() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let absolute = place.home + "/dir/a b.txt"
            let written = try await place.authorized(
                .POST, "/files", body: #"{"path":"dir/a b.txt","content":"héllo"}"#)
            #expect(written.status == 201)
            let encoded = absolute.split(separator: " ").joined(separator: "%20")
            let spellings = [
                "/files/dir/a%20b.txt", "/files/dir%2Fa%20b.txt", "/files/" + encoded,
                "/files/" + encoded.split(separator: "/").map { "%2F\($0)" }.joined(),
                "/files" + encoded,  // the leading slash lost
            ]
            for spelling in spellings {
                #expect(try await place.authorized(.HEAD, spelling).status == 200, "\(spelling)")
                #expect(
                    try await place.authorized(.GET, spelling + "?content=true").text("content") == "héllo",
                    "\(spelling)")
            }
            #expect(try await place.authorized(.DELETE, "/files/dir").status == 204)
            #expect(try await place.authorized(.DELETE, "/files/dir").status == 404)
            #expect(try await place.authorized(.HEAD, spellings[0]).status == 404)
        }
    }

    @Test func bytesThatAreNotTextTravelInBase64Only() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let body = #"{"path":"b","content":"/wA=","encoding":"base64"}"#
            #expect(try await place.authorized(.POST, "/files", body: body).status == 201)
            #expect(try await place.authorized(.GET, "/files/b?content=true").text("field") == "encoding")
            let read = try await place.authorized(.GET, "/files/b?content=true&encoding=base64")
            #expect(read.text("content") == "/wA=")
        }
    }

    static let garbage: [(String, String?)] = [
        ("{", nil), (#"{"a":1,}"#, nil), (#"{"path":"x","path":"y"}"#, "path"),
        ("[]", nil), ("\"x\"", nil), ("{}", "path"), (#"{"path":5}"#, "path"), (#"{"path":""}"#, "path"),
        (#"{"path":"../x"}"#, "path"), (#"{"path":"a\u0000b"}"#, "path"), (#"{"path":"x","content":1}"#, "content"),
        (#"{"path":"x","content":"%","encoding":"base64"}"#, "content"),
        (#"{"path":"x","encoding":"utf-16"}"#, "encoding"), (String(repeating: "[", count: 5000), nil),
    ]

    @Test func garbageIsRefusedByField() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            for (body, field) in Self.garbage {
                let answer = try await place.authorized(.POST, "/files", body: body)
                #expect(answer.status == 400, "\(body.prefix(60))")
                #expect(answer.text("field") == field, "\(body.prefix(60))")
            }
            let large = try await place.send(
                .POST, "/files", bearer: place.secret, declaredLength: RequestBody.maxBytes + 1)
            #expect(large.status == 413)
        }
    }

    @Test func endingTakesDetachedProcessesAlong() async throws {
        let place = try SidekickPlace()
        let status = try await place.run { place in
            try await place.claim()
            let body =
                #"{"command":"setsid sh -c 'echo $$ > pid; exec sleep 600' >/dev/null 2>&1 & while [ ! -s pid ]; do :; done"}"#
            #expect(try await place.authorized(.POST, "/run/command", body: body).status == 200)
        }
        #expect(status == .exited(0))
        let file = try #require(fopen(place.home + "/pid", "r"))
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 32)
        try #require(fgets(&line, 32, file) != nil)
        let pid = try #require(atoi(line) > 1 ? atoi(line) : nil)
        #expect(kill(pid, 0) == -1 && errno == ESRCH)
    }
}
