import SidekickService
import Testing

struct PathLockTests {
    private typealias Paths = PathLockTable.Paths

    @Test(arguments: [
        (["/a"], ["/a"], true), (["/a"], ["/a/b/c"], true), (["/a/b"], ["/a"], true), (["/a"], ["/ab"], false),
        (["/a/b"], ["/a/c"], false), (["/x", "/a/b"], ["/y", "/a/b"], true), (["/"], ["/"], true),
    ])
    func pathsCollideWhenOneContainsTheOther(_ one: [String], _ other: [String], _ expected: Bool) {
        #expect(Paths(one).collides(with: Paths(other)) == expected)
        #expect(Paths(other).collides(with: Paths(one)) == expected)
    }

    @Test func whoComesFirstIsServedFirst() {
        var table = PathLockTable()
        #expect(table.request(1, Paths(["/a", "/b"])) == .granted)
        #expect(table.request(2, Paths(["/b", "/c"])) == .wait)
        // It would be free, but 2 was before it.
        #expect(table.request(3, Paths(["/c"])) == .wait)
        #expect(table.request(4, Paths(["/d"])) == .granted)
        #expect(table.release(1) == [2])
        #expect(table.release(4) == [])
        #expect(table.release(2) == [3])
        #expect(table.release(3) == [])
        #expect(table.isIdle)
    }

    @Test func whoLeavesTheQueueHoldsNobodyUp() {
        var table = PathLockTable()
        #expect(table.request(1, Paths(["/a"])) == .granted)
        #expect(table.request(2, Paths(["/a", "/b"])) == .wait)
        #expect(table.request(3, Paths(["/b"])) == .wait)
        #expect(table.release(2) == [3])
        #expect(table.release(2) == [])
        #expect(table.release(3) == [])
        #expect(table.release(1) == [])
        #expect(table.isIdle)
    }

    @Test func theQueueIsBounded() {
        var table = PathLockTable()
        #expect(table.request(0, Paths(["/a"])) == .granted)
        for id in 1...UInt64(PathLockTable.maxWaiting) { #expect(table.request(id, Paths(["/a"])) == .wait) }
        #expect(table.request(1000, Paths(["/a"])) == .refused)
        #expect(table.request(1001, Paths(["/b"])) == .granted)
    }

    @Test func randomWalksNeverGrantACollisionAndAlwaysEnd() {
        for seed in UInt64(1)...20 {
            var state = seed
            func next(_ limit: UInt64) -> UInt64 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return (state >> 33) % limit
            }
            var table = PathLockTable()
            var all: [UInt64: Paths] = [:]
            var holding: Set<UInt64> = []
            for id in UInt64(0)..<300 {
                if next(3) > 0 {
                    let paths = Paths(
                        (0..<1 + next(3)).map { _ in "/\(next(3))" + (next(2) == 0 ? "" : "/\(next(3))") })
                    all[id] = paths
                    if table.request(id, paths) == .granted { holding.insert(id) }
                } else if let leaving = all.keys.sorted().dropFirst(Int(next(3))).first {
                    all[leaving] = nil
                    holding.remove(leaving)
                    holding.formUnion(table.release(leaving))
                }
                let held = holding.compactMap { all[$0] }
                for (index, one) in held.enumerated() {
                    #expect(!held[(index + 1)...].contains { $0.collides(with: one) }, "seed \(seed)")
                }
            }
            // Whoever holds lets go, and in the end all have had their turn.
            while let id = holding.first {
                holding.remove(id)
                all[id] = nil
                holding.formUnion(table.release(id))
            }
            #expect(table.isIdle && all.isEmpty, "seed \(seed)")
        }
    }
}
