import ComputeCore
import ComputeDomain
import EventSourcing

// Lists of computes, by what they are called and carry, and what becomes of them while they live.
extension EventStoreContract {
    private static func request(_ n: Int, in group: GroupID) -> (id: ComputeID, commit: Commit) {
        let id = ComputeID.random()
        var spec = ComputeSpec(name: n % 4 == 0 ? nil : "n\(n)", namespace: "ns\(n % 2)", timeout: .seconds(60))
        spec.metadata = [
            "team": .string(["red", "blue", "'; DROP TABLE events; --"][n % 3]), "n": .int(Int64(n % 5)),
            "on": .bool(n % 2 == 0), "ratio": .double(0.5), "tags": .array([.string("x")]), "\"q\".é": .string("%_"),
            "long": .string(String(repeating: "l", count: ComputeLabels.maximumBytes + 1)),
        ]
        let at = start + .seconds(n / 2)
        return (
            id,
            .compute(
                id, in: group, expectedVersion: 0, before: .absent, events: [.requested(spec, at: at)],
                metadata: .system, at: at)
        )
    }

    private static let queries: [SummaryFilter] = {
        func labelled(_ labels: [String: String], _ states: Set<ComputeSummary.State>? = nil) -> SummaryFilter {
            var filter = SummaryFilter(states: states)
            filter.labels = labels
            return filter
        }
        func created(_ from: Int?, _ until: Int?, _ labels: [String: String] = [:]) -> SummaryFilter {
            var filter = labelled(labels)
            (filter.createdFrom, filter.createdUntil) = (
                from.map { start + .seconds($0) }, until.map { start + .seconds($0) }
            )
            return filter
        }
        let living = ComputeSummary.State.living
        var called = SummaryFilter(states: living, namespace: "ns1", name: "n3")
        called.labels = ["team": "red"]
        return [
            labelled(["team": "red"]), labelled(["team": "red"], living), labelled(["team": "red"], [.ended]),
            labelled(["team": "red", "n": "0"]), labelled(["n": "3", "on": "true"], living), labelled(["n": "03"]),
            labelled(["team": "'; DROP TABLE events; --"]), labelled(["\"q\".é": "%_"]), labelled(["\"q\".é": "xx"]),
            labelled(["ratio": "0.5"]), labelled(["tags": "x"]), labelled(["absent": ""]), labelled(["team": "re"]),
            labelled(["on": "true", "n": "0", "team": "red", "\"q\".é": "%_"], [.ended, .requested]),
            SummaryFilter(namespace: "ns1"), SummaryFilter(states: living, namespace: "ns1"),
            SummaryFilter(namespace: "ns1", name: "n7"), SummaryFilter(states: living, namespace: "ns1", name: "n3"),
            SummaryFilter(namespace: "ns0", name: "n7"), SummaryFilter(namespace: "%", name: "%"), called,
            created(3, nil), created(nil, 3), created(3, 7), created(3, 7, ["team": "blue"]), created(7, 3),
            SummaryFilter(states: [.paused]), SummaryFilter(states: [.paused, .ended]),
        ]
    }()

    static let lists = [
        EventStoreContract(description: "lists are filtered by metadata, name and time, page by page") { store in
            for n in 0..<30 {
                let (id, commit) = request(n, in: n % 5 == 4 ? other : .default)
                try require(try await store.commit(commit).isCommitted, "made")
                guard n % 3 == 1 else { continue }
                _ = try await store.commit(
                    .compute(
                        id, in: n % 5 == 4 ? other : .default, expectedVersion: 1,
                        before: .requested(ComputeSpec(timeout: .zero)), events: [.ended(.deleted)], metadata: .system,
                        at: start))
            }
            var hits = 0
            for group in [GroupID.default, other] {
                let all = try await store.summaries(in: group, matching: SummaryFilter(), after: nil, limit: 1000)
                for filter in queries {
                    let expected = all.summaries.filter(filter.accepts)
                    hits += expected.count
                    for limit in [1, 3, 100] {
                        var (found, cursor) = ([ComputeSummary](), Cursor?.none)
                        repeat {
                            let page = try await store.summaries(
                                in: group, matching: filter, after: cursor, limit: limit)
                            try require(page.summaries.count <= limit, "limit")
                            found += page.summaries
                            cursor = page.next
                        } while cursor != nil
                        try require(found == expected, "\(filter), limit \(limit)")
                    }
                }
            }
            try require(hits > 100, "the filters let something pass")
        },
        EventStoreContract(description: "a compute that is changed, paused and resumed is found as it is now") {
            store in
            let id = ComputeID.random()
            let place = Placement(
                member: MemberName("m1"), generation: .first, sidekick: .tcp(host: "::1", port: 1),
                sidekickInternal: .unix(path: "/s"), portHost: "::1")
            var again = place
            again.generation = Generation(2)
            var change = ComputeChange(
                metadata: ["k": .null, "team": .string("new")], maximumMetadataBytes: 1000, timeout: .seconds(5))
            let change1 = change
            change.metadata = ["team": .string("newer"), "k": .string("v")]
            let commands: [Compute.Command] = [
                .request(ComputeSpec(timeout: .seconds(60), metadata: ["k": .string("v")]), at: start),
                .start(place, at: start), .change(change1, at: start + .seconds(1)), .pause,
                .change(change, at: start + .seconds(2)), .resume(at: start), .pause,
                .stop(KeepLimits(usual: .seconds(100), most: .seconds(1000)), at: start),
                .change(
                    ComputeChange(
                        metadata: ["k": .string("w")], maximumMetadataBytes: 1000, onExpiry: .stop,
                        deleteAfterStopped: .seconds(7)), at: start),
                .start(again, at: start), .end(.expired),
            ]
            var (state, version, labels) = (Compute.initial, 0, [[String: String]]())
            for command in commands {
                let events = try Compute.decide(command, state)
                let commit = Commit.compute(
                    id, in: .default, expectedVersion: version, before: state, events: events, metadata: .system,
                    at: start)
                try require(try await store.commit(commit).isCommitted, "\(command)")
                state = events.reduce(state, Compute.evolve)
                version += events.count
                let row = try require(try await store.summary(id, in: .default), "row")
                var folded: ComputeSummary?
                for event in try await store.events(of: .compute(id)) {
                    folded = try ComputeSummary.applying(event, to: folded)
                }
                try require(row == folded && row.metadata == state.spec?.metadata, "the row after \(command)")
                labels.append(row.labels)
                for known in labels {
                    var filter = SummaryFilter()
                    filter.labels = known
                    let found = try await store.summaries(in: .default, matching: filter, after: nil, limit: 10)
                    try require(found.summaries == [row].filter(filter.accepts), "\(known) after \(command)")
                }
                let due = try await store.living(expiringBefore: start + .seconds(3600), limit: 10)
                try require(due == (row.expiresAt != nil && row.state != .ended ? [row] : []), "due after \(command)")
            }
            try require(labels.contains(["team": "new"]) && labels.last == ["team": "newer", "k": "w"], "labels")
        },
    ]
}
