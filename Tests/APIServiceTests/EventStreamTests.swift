import APIContract
import APIService
import ComputeCore
import ComputeDomain
import EventSourcing
import Foundation
import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import TestSupport
import Testing

/// The log as it grows, over a real connection.
struct EventStreamTests {
    private func note(_ n: Int, bytes: Int = 1, count: Int = 1) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: StreamID(category: StreamID.customCategory, id: "stream\(n)abc"), group: .default,
                    expectedVersion: 0,
                    events: (0..<count).map { _ in
                        NewEvent(
                            type: "note.n\(n)", data: .object(["x": .string(String(repeating: "x", count: bytes))]))
                    })
            ], metadata: .system, occurredAt: WallTime(milliseconds: 1_800_000_000_000))
    }

    private func withStreams(
        _ change: @escaping (inout EventStreamTiming) -> Void = { _ in },
        _ run: @escaping @Sendable (World, String, Int) async throws -> Void
    ) async throws {
        let world = World { change(&$0.eventStreams) }
        let key = try await world.server.keys.bootstrap(preset: nil) ?? ""
        try await world.server.publicApplication.test(.live) { client in
            try await run(world, key, client.port ?? 0)
        }
    }

    @Test func eventsArriveAsTheyHappenAndCanBeResumed() async throws {
        try await withStreams { world, key, port in
            let reader = try StreamReader(port: port, key: key)
            #expect(try await reader.next()?.retry == "1000")
            for n in 0..<3 { _ = try await world.store.commit(note(n)) }
            var last = ""
            for n in 0..<3 {
                let event = try #require(try await reader.next())
                #expect(event.event == "note.n\(n)")
                #expect(event.data.contains("\"type\":\"note.n\(n)\""))
                if n == 1 { last = event.id }
            }
            reader.close()
            let again = try StreamReader(port: port, key: key, headers: "Last-Event-ID: \(last)\r\n")
            _ = try await again.next()
            #expect(try await again.next()?.event == "note.n2")
            _ = try await world.store.commit(note(3))
            #expect(try await again.next()?.event == "note.n3")
            again.close()
            let filtered = try StreamReader(port: port, key: key, query: "?type=note.n5")
            _ = try await filtered.next()
            for n in 4..<6 { _ = try await world.store.commit(note(n)) }
            #expect(try await filtered.next()?.event == "note.n5")
            filtered.close()
            let bad = try StreamReader(port: port, key: key, headers: "Last-Event-ID: nonsense\r\n")
            #expect(try await bad.status() == 400)
        }
    }

    @Test func aSilentStreamSaysThatItLivesAndWhereItIs() async throws {
        try await withStreams({ $0.keepAlive = .milliseconds(50) }) { world, key, port in
            let reader = try StreamReader(port: port, key: key, query: "?type=none.such")
            _ = try await reader.next()
            let first = try #require(try await reader.next())
            #expect(first.isComment && first.event.isEmpty && !first.id.isEmpty)
            _ = try await world.store.commit(note(1))
            // The place moves on although nothing was for this reader.
            var place = first.id
            for _ in 0..<100 where place == first.id { place = try await reader.next()?.id ?? "" }
            #expect(place != first.id)
            reader.close()
        }
    }

    @Test func aStreamEndsWhenItsKeyIsTakenBack() async throws {
        try await withStreams({ $0.recheck = .milliseconds(20) }) { world, key, port in
            let reader = try StreamReader(port: port, key: key)
            _ = try await reader.next()
            try await world.revoke(hash: try #require(HashOfKey(key).hash))
            var end = try #require(try await reader.next())
            // It may be told of that before it is asked again.
            if end.event == "APIKeyRevoked" { end = try #require(try await reader.next()) }
            #expect(end.event == "end" && end.data.contains("forbidden"))
            #expect(try await reader.next() == nil)
        }
    }

    @Test func aReaderWhoDoesNotReadIsCutOffAndCanComeBack() async throws {
        try await withStreams({ $0.stallLimit = .seconds(2) }) { world, key, port in
            let start = try await world.store.head()
            // More than all buffers between the two hold.
            _ = try await world.store.commit(note(1, bytes: 64 << 10, count: 200))
            let reader = try StreamReader(
                port: port, key: key, query: "?after=\(start?.rawValue ?? "")", receives: 8192)
            let wasCut = await eventually {
                world.logs.all.contains { $0.contains("an event stream was cut") }
            }
            #expect(wasCut)
            var (count, last) = (0, "")
            while let event = try await reader.next() {
                if event.event == "note.n1" { (count, last) = (count + 1, event.id) }
                #expect(event.event != "end")
            }
            #expect(count < 200)
            #expect(!reader.endedInOrder, "a cut is no end")
            let again = try StreamReader(
                port: port, key: key, headers: last.isEmpty ? "" : "Last-Event-ID: \(last)\r\n",
                query: "?after=\(start?.rawValue ?? "")")
            _ = try await again.next()
            for _ in count..<200 { #expect(try await again.next()?.event == "note.n1") }
            again.close()
        }
    }

    @Test func aGroupHasOnlySoManyStreamsAtATime() async throws {
        try await withStreams({ timing in
            timing.perGroup = 2
            // Who is gone is noticed at the next write.
            timing.keepAlive = .milliseconds(50)
        }) { _, key, port in
            let one = try StreamReader(port: port, key: key)
            let two = try StreamReader(port: port, key: key)
            #expect(try await one.status() == 200)
            #expect(try await two.status() == 200)
            #expect(try await StreamReader(port: port, key: key).status() == 429)
            #expect(try await StreamReader(port: port, key: key, method: "HEAD").status() == 200)
            one.close()
            let isFreeAgain = await eventually { try await StreamReader(port: port, key: key).status() == 200 }
            #expect(isFreeAgain)
            two.close()
        }
    }
}
