import ComputeCore
import ComputeDomain
import EventSourcing

extension EventStoreContract {
    private static func note(_ type: String, _ id: String, by actor: String, second: Int64) -> Commit {
        Commit(
            appends: [
                StreamAppend(
                    stream: StreamID(category: "note", id: id), group: .default, expectedVersion: 0,
                    events: [NewEvent(type: type, data: .object([:]))])
            ], metadata: EventMetadata(actor: actor, requestID: "r"),
            occurredAt: WallTime(milliseconds: start.milliseconds + second * 1000))
    }

    static let filters = [
        EventStoreContract(description: "pages are filtered by stream, type, actor and time") { store in
            let actors = ["key:a", "key:ab", "key:a\"", "system"]
            for n in 0..<40 {
                _ = try await store.commit(
                    note(n % 3 == 0 ? "Noted" : "Other", "n\(n)", by: actors[n % 4], second: Int64(n)))
            }
            let all = try await store.drain(limit: 1000).events
            func time(_ second: Int64) -> WallTime { WallTime(milliseconds: start.milliseconds + second * 1000) }
            var two = EventFilter(group: .default)
            two.streams = [StreamID(category: "note", id: "n3"), StreamID(category: "note", id: "n4")]
            var none = EventFilter()
            none.streams = []
            let filters = [
                EventFilter(types: ["Noted"]), EventFilter(types: ["Noted", "Other"]), EventFilter(types: ["noted"]),
                EventFilter(types: ["' OR 1=1 --"]), EventFilter(types: []), EventFilter(actor: "key:a"),
                EventFilter(actor: "key:a\""), EventFilter(actor: "%"), EventFilter(since: time(10)),
                EventFilter(until: time(10)), EventFilter(since: time(10), until: time(11)),
                EventFilter(group: .default, types: ["Noted"], actor: "system", since: time(3), until: time(30)),
                EventFilter(group: other, types: ["Noted"]), two, none,
            ]
            for filter in filters {
                let expected = all.filter(filter.accepts)
                for limit in [1, 4, 100] {
                    let found = try await store.drain(matching: filter, limit: limit)
                    try require(found.events == expected, "\(filter), limit \(limit)")
                    let after = try await store.events(after: found.next, matching: filter, limit: limit)
                    try require(after.events.isEmpty && !after.hasMore, "\(filter): the end is the end")
                }
            }
            try require(
                all.filter(filters[0].accepts).count == 14 && all.filter(filters[5].accepts).count == 10, "counts")
        },
        EventStoreContract(description: "each event of a page has a cursor to go on after it") { store in
            for n in 0..<5 { _ = try await store.commit(.notes("s\(n)", in: n % 2 == 0 ? .default : other)) }
            let filter = EventFilter(group: .default)
            let page = try await store.events(after: nil, matching: filter, limit: 10)
            try require(page.events.count == 3, "a page")
            for index in page.events.indices {
                let rest = try await store.events(after: page.cursor(after: index), matching: filter, limit: 10)
                try require(rest.events == Array(page.events[(index + 1)...]), "after \(index)")
            }
            try require(try await store.head() == page.next, "the head")
            _ = try await store.commit(.notes("new"))
            let head = try await store.head()
            try require(head != page.next, "the head moves")
            try require(try await store.drain(after: head, limit: 5).events.isEmpty, "nothing is after the head")
        },
        EventStoreContract(description: "a stream has a version") { store in
            try require(try await store.version(of: StreamID(category: "note", id: "a")) == 0, "absent")
            _ = try await store.commit(.notes("a", count: 3))
            try require(try await store.version(of: StreamID(category: "note", id: "a")) == 3, "three")
        },
    ]

    static let consumers = [
        EventStoreContract(description: "a consumer goes on where it was") { store in
            try require(try await store.checkpoint(of: "c") == nil, "nothing yet")
            for text in ["one", "two"] {
                try await store.save(Cursor(rawValue: text), of: "c", at: start)
                try require(try await store.checkpoint(of: "c")?.rawValue == text, text)
            }
            try require(try await store.checkpoint(of: "d") == nil, "another one")
        },
        EventStoreContract(description: "one at a time has the lease of a consumer, until it ends or is given back") {
            store in
            func at(_ seconds: Int64) -> WallTime { WallTime(milliseconds: start.milliseconds + seconds * 1000) }
            try await store.save(Cursor(rawValue: "x"), of: "c", at: at(0))
            try require(try await store.lease("c", for: "a", at: at(0), until: at(30)), "free")
            try require(try await !store.lease("c", for: "b", at: at(29), until: at(60)), "held")
            try require(try await store.lease("c", for: "a", at: at(20), until: at(50)), "kept")
            try require(try await !store.lease("c", for: "b", at: at(49), until: at(80)), "held longer")
            try require(try await store.lease("c", for: "b", at: at(50), until: at(80)), "over")
            try require(try await !store.lease("c", for: "a", at: at(51), until: at(80)), "the other way round")
            try await store.release("c", by: "a", at: at(52))
            try require(try await !store.lease("c", for: "a", at: at(52), until: at(80)), "not his to give")
            try await store.release("c", by: "b", at: at(53))
            try require(try await store.lease("c", for: "a", at: at(53), until: at(80)), "given back")
            try require(try await store.checkpoint(of: "c")?.rawValue == "x", "the place stays")
            let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
                for n in 0..<10 {
                    group.addTask { try await store.lease("raced", for: "o\(n)", at: at(0), until: at(9)) }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            try require(winners == 1, "\(winners) have the same lease")
        },
    ]
}
