import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Testing

/// `/watchers` of the real executable.
struct WatcherTests {
    static func watched(
        _ body: [String: JSONValue] = [:], in place: SidekickPlace
    ) async throws -> (id: String, socket: SidekickSocket) {
        let body = body.merging(["path": .string(".")]) { given, _ in given }
        let created = try await place.authorized(.POST, "/watchers", body: JSONValue.object(body).line)
        try #require(created.status == 201, "\(created.body)")
        let id = try #require(created.data("id"))
        let socket = try await SidekickSocket.open(place)
        try await socket.subscribe(channel: "watcher:\(id)")
        return (id, socket)
    }

    @Test func changesAreToldAsTheyHappen() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let (id, socket) = try await Self.watched(["includeContent": .bool(true)], in: place)
            try await place.authorized(.POST, "/files", body: #"{"path":"src/a.txt","content":"héllo"}"#).isGood()
            var seen: [String] = []
            for _ in 0..<2 {
                let event = try await socket.event("file:changed")
                #expect(event.channel == "watcher:\(id)")
                seen.append("\(event.data["event"]?.text ?? "") \(event.data["path"]?.text ?? "")")
                if event.data["event"] == .string("add") {
                    #expect(event.data["content"] == .string("héllo"))
                    #expect(event.data["encoding"] == .string("raw"))
                }
            }
            #expect(seen == ["addDir \(place.home)/src", "add \(place.home)/src/a.txt"])
            // In the file as it is: whoever looks finds what was there or what is written, and nothing in between.
            _ = try await place.command("printf '\\377' 1<> src/a.txt; rm -r src")
            let bytes = try await socket.event("file:changed")
            // Removed before anybody looked: then there is no content to tell.
            if bytes.data["event"] == .string("change"), let content = bytes.data["content"] {
                #expect(content == .string("/8OpbGxv"))
                #expect(bytes.data["encoding"] == .string("base64"))
            }
            try await socket.event("file:changed") { $0.data["event"] == .string("unlinkDir") }
            #expect(try await place.authorized(.DELETE, "/watchers/\(id)").status == 204)
            try await socket.event("watcher:destroyed")
            #expect(try await place.authorized(.DELETE, "/watchers/\(id)").status == 404)
            await socket.close()
        }
    }

    @Test func watchersAreListedWithAllThatClientsRead() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let socket = try await SidekickSocket.open(place)
            let created = try await place.authorized(
                .POST, "/watchers", body: #"{"path":"\#(place.home)","ignored":["*.log"],"encoding":"base64"}"#)
            #expect(created.status == 201)
            let id = try #require(created.data("id"))
            #expect(try await socket.event("watcher:created").channel == "watcher:\(id)")
            let listed = try await place.authorized(.GET, "/watchers")
            guard case .array(let watchers)? = listed.json["data"]?.members["watchers"] else {
                Issue.record("\(listed.body)")
                return
            }
            for watcher in try [#require(watchers.first), .object(created.json["data"]?.members ?? [:])] {
                let fields = watcher.members
                #expect(fields["ws_url"] == .string("/ws"))
                #expect(fields["channel"] == .string("watcher:\(id)"))
                #expect(fields["path"] == .string(place.home))
                #expect(fields["status"] == .string("active"))
                #expect(fields["ignored"] == .array([.string("*.log")]))
                #expect(fields["includeContent"] == .bool(false))
                #expect(fields["encoding"] == .string("base64"))
            }
            await socket.close()
        }
    }

    @Test func badRequestsAreRefusedByField() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            for (body, status, field) in [
                ("{}", 400, "path"), (#"{"path":"nope"}"#, 404, "path"), (#"{"path":5}"#, 400, "path"),
                (#"{"path":".","ignored":5}"#, 400, "ignored"), (#"{"path":".","ignored":[5]}"#, 400, "ignored"),
                (#"{"path":".","ignored":["[a"]}"#, 400, "ignored"),
                (#"{"path":".","encoding":"x"}"#, 400, "encoding"),
                (#"{"path":"/proc"}"#, 403, "path"),
            ] {
                let answer = try await place.authorized(.POST, "/watchers", body: body)
                #expect(answer.status == status, "\(body) \(answer.body)")
                #expect(answer.text("field") == field, "\(body)")
            }
            for _ in 0..<32 {
                #expect(try await place.authorized(.POST, "/watchers", body: #"{"path":"."}"#).status == 201)
            }
            #expect(try await place.authorized(.POST, "/watchers", body: #"{"path":"."}"#).status == 429)
        }
    }

    @Test func theEndOfTheDirectoryEndsTheWatcher() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            _ = try await place.command("mkdir -p d/e")
            let (id, socket) = try await Self.watched(["path": .string("d")], in: place)
            _ = try await place.command("rm -r d")
            let ended = try await socket.event("watcher:destroyed")
            #expect(ended.data["id"] == .string(id))
            #expect(try await place.authorized(.GET, "/watchers/\(id)").status == 404)
            await socket.close()
        }
    }

    @Test func aRenameStormIsToldWholeOrHonestly() async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            let (_, socket) = try await Self.watched(in: place)
            let (from, to) = (place.home + "/from", place.home + "/to")
            try #require(mkdir(from, 0o755) == 0 && mkdir(to, 0o755) == 0)
            for number in 0..<3000 {
                try Self.touch("\(from)/\(number)")
                try #require(rename("\(from)/\(number)", "\(to)/\(number)") == 0)
            }
            try Self.touch(to + "/done")
            // Whatever was coalesced on the way, the last word comes, unless it says how much is missing, and then goes on.
            while true {
                let event = try await socket.anyEvent(before: "the last change, or a gap")
                if event.data["path"]?.text == to + "/done" { break }
                guard event.type == "gap" else { continue }
                let isCounted = if case .int(let count)? = event.data["dropped_events"] { count > 0 } else { false }
                #expect(isCounted)
                try Self.touch(to + "/after")
                try await socket.event("file:changed") { $0.data["path"]?.text == to + "/after" }
                break
            }
            await socket.close()
        }
    }

    @Test func moreDirectoriesThanCanBeWatchedAreSaidSo() async throws {
        // In memory: making and removing so many takes a disk a minute.
        let many = "/dev/shm/many-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: many) }
        try #require(mkdir(many, 0o755) == 0)
        for number in 0..<17_000 { try #require(mkdir("\(many)/\(number)", 0o755) == 0) }
        try await SidekickPlace().run { place in
            try await place.claim()
            let created = try await place.authorized(.POST, "/watchers", body: #"{"path":"\#(many)"}"#)
            #expect(created.status == 201)
            #expect(created.data("status") == "degraded")
            #expect(created.data("error")?.contains("too many directories") == true)
            let ignoring = try await place.authorized(
                .POST, "/watchers", body: #"{"path":"\#(many)","ignored":["1*"]}"#)
            #expect(ignoring.data("status") == "active")
        }
    }

    private static func touch(_ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        try #require(descriptor >= 0)
        close(descriptor)
    }
}

extension SidekickPlace.Answer {
    func isGood() throws { try #require((200..<300).contains(status), "\(body)") }
}

extension SidekickSocket {
    /// Returns when that is done: the answer to what comes behind it has come.
    func subscribe(channel: String) async throws {
        try await send("subscribe", channel: channel)
        try await send("marker")
        try await event("error")
    }
}
