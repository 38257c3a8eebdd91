import ComputeCore
import NIOHTTP1
import Testing

extension GVisorTests {
    @Test func watchersTellWhatTheyTellElsewhere() async throws {
        try await sidekick(user: .unprivileged()) { place in
            let (id, socket) = try await WatcherTests.watched(["includeContent": .bool(true)], in: place)
            _ = try await place.command("mkdir -p new/deep; echo a > new/deep/file; echo b > plain; mv plain moved")
            var (added, seen) = (Set<String>(), [String: String]())
            // `plain` may come and go before anybody looks; and a file may be looked at before it is written.
            while seen["moved"] != "b\n" || seen["file"] != "a\n" {
                let event = try await socket.event("file:changed")
                let name = event.data["path"]?.text?.split(separator: "/").last.map(String.init) ?? ""
                if event.data["event"] == .string("add") { added.insert(name) }
                seen[name] = event.data["content"]?.text ?? ""
            }
            #expect(added.isSuperset(of: ["file", "moved"]))
            _ = try await place.command("rm -r new")
            let gone = try await socket.event("file:changed") {
                $0.data["event"] == .string("unlinkDir") && $0.data["path"]?.text?.hasSuffix("/new") == true
            }
            #expect(gone.channel == "watcher:\(id)")
            await socket.close()
        }
    }
}
