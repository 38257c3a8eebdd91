import APIService
import ComputeCore
import Testing

struct TokenBucketTests {
    private let start = WallTime(milliseconds: 1_800_000_000_000)

    @Test func theLimitMayComeAtOnceAndNoMore() {
        var bucket = TokenBucket(limit: 3, at: start)
        #expect((0..<3).map { _ in bucket.take(at: start).remaining } == [2, 1, 0])
        let refusal = bucket.take(at: start)
        #expect(refusal == Allowance(isGranted: false, limit: 3, remaining: 0, resetSeconds: 1))
    }

    @Test func aTokenComesBackAtItsTimeToTheMillisecond() {
        var bucket = TokenBucket(limit: 4, at: start)
        for _ in 0..<4 { _ = bucket.take(at: start) }
        #expect(!bucket.take(at: start + .milliseconds(249)).isGranted)
        #expect(bucket.take(at: start + .milliseconds(250)).isGranted)
        #expect(!bucket.take(at: start + .milliseconds(250)).isGranted)
    }

    /// Asking often must not lose what a rounding would.
    @Test(arguments: [1, 3, 7, 500, 1_000_000] as [Int64]) func whoAsksEachMillisecondGetsExactlyTheLimit(limit: Int64)
    {
        var bucket = TokenBucket(limit: limit, at: start)
        for _ in 0..<limit { _ = bucket.take(at: start) }
        var granted: Int64 = 0
        for millisecond in 1...5000 {
            while bucket.take(at: start + .milliseconds(millisecond)).isGranted { granted += 1 }
        }
        #expect(granted == 5 * limit)
    }

    @Test func restingBringsNoMoreThanTheLimit() {
        var bucket = TokenBucket(limit: 2, at: start)
        let later = start + .seconds(365 * 24 * 3600)
        #expect((0..<3).map { _ in bucket.take(at: later).isGranted } == [true, true, false])
    }

    @Test func whatIsRefusedCostsNothing() {
        var bucket = TokenBucket(limit: 1, at: start)
        _ = bucket.take(at: start)
        for millisecond in 0..<1000 { #expect(!bucket.take(at: start + .milliseconds(millisecond)).isGranted) }
        #expect(bucket.take(at: start + .seconds(1)).isGranted)
    }

    @Test func aClockThatIsSetBackNeitherBringsNorBlocks() {
        var bucket = TokenBucket(limit: 1, at: start)
        _ = bucket.take(at: start)
        let before = start + .seconds(-3600)
        #expect(!bucket.take(at: before).isGranted)
        #expect(bucket.take(at: before + .seconds(1)).isGranted)
    }

    @Test func theResetIsWhenAllOfItIsThereAgain() {
        var bucket = TokenBucket(limit: 10, at: start)
        #expect(bucket.take(at: start).resetSeconds == 1)
        var fresh = TokenBucket(limit: 1, at: start)
        #expect(fresh.take(at: start) == Allowance(isGranted: true, limit: 1, remaining: 0, resetSeconds: 1))
    }
}

struct TokenBucketsTests {
    private let start = WallTime(milliseconds: 1_800_000_000_000)

    @Test func eachHasABucketOfItsOwn() {
        var buckets = TokenBuckets<String>(limit: 1, most: 10, at: start)
        #expect(buckets.take("a", at: start).isGranted)
        #expect(!buckets.take("a", at: start).isGranted)
        #expect(buckets.take("b", at: start).isGranted)
    }

    @Test func whoFindsNoRoomSharesOneBucketAndThoseInsideKeepTheirs() {
        var buckets = TokenBuckets<Int>(limit: 2, most: 3, at: start)
        for key in 0..<3 { _ = buckets.take(key, at: start) }
        #expect((10..<20).map { buckets.take($0, at: start).isGranted }.filter(\.self).count == 2)
        for key in 0..<3 { #expect(buckets.take(key, at: start).isGranted) }
        #expect(buckets.count == 3)
    }

    @Test func whatRestsIsForgottenAndMakesRoom() {
        var buckets = TokenBuckets<Int>(limit: 2, most: 3, at: start)
        for key in 0..<3 { _ = buckets.take(key, at: start) }
        _ = buckets.take(0, at: start + .seconds(1))
        _ = buckets.take(0, at: start + .seconds(2))
        #expect(buckets.count == 1)
        #expect(buckets.take(3, at: start + .seconds(2)).remaining == 1)
    }

    /// Against buckets that are never forgotten: forgetting must not show.
    @Test(arguments: 0..<20) func forgettingChangesNoAnswer(seed: UInt64) {
        var generator = SplitMix(state: seed)
        var buckets = TokenBuckets<Int>(limit: 3, most: 100, at: start)
        var kept: [Int: TokenBucket] = [:]
        var now = start
        for step in 0..<2000 {
            now = now + .milliseconds(Int.random(in: 0...400, using: &generator))
            let key = Int.random(in: 0..<8, using: &generator)
            let expected = kept[key, default: TokenBucket(limit: 3, at: now)].take(at: now)
            #expect(buckets.take(key, at: now) == expected, "seed \(seed), step \(step)")
        }
    }
}

/// Random, and the same again for the same seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

struct ClientAddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002/64"), ("2001:db8:1:2::ffff", "20010db800010002/64"),
        ("nonsense", "nonsense"),
    ]) func aPlaceIsWhatOneClientHas(_ address: String, _ place: String) {
        #expect(ClientAddress.place(address) == place)
    }

    @Test func aPeerOfThisMachineSpeaksForOthersAndOnlyThen() {
        #expect(ClientAddress.of(peer: nil, forwarded: "192.0.2.1") == "192.0.2.1")
        #expect(ClientAddress.of(peer: "127.0.0.1", forwarded: "192.0.2.1") == "192.0.2.1")
        #expect(ClientAddress.of(peer: "::1", forwarded: nil) == "::1")
        #expect(ClientAddress.of(peer: "198.51.100.7", forwarded: "192.0.2.1") == "198.51.100.7")
        #expect(ClientAddress.of(peer: nil, forwarded: nil) == nil)
    }
}

/// What was seen a moment ago, by hand.
struct RecentlySeenTests {
    private let start = WallTime(milliseconds: 1_800_000_000_000)

    @Test func whatIsRememberedIsForgottenInTime() {
        var seen = RecentlySeen<Int>(most: 100, within: .seconds(10))
        seen.insert(1, at: start)
        #expect(seen.contains(1, at: start + .seconds(4)))
        seen.insert(2, at: start + .seconds(6))
        #expect(seen.contains(1, at: start + .seconds(9)))
        #expect(!seen.contains(1, at: start + .seconds(11)))
        #expect(seen.contains(2, at: start + .seconds(11)))
        #expect(!seen.contains(2, at: start + .seconds(16)))
        seen.insert(3, at: start + .seconds(16))
        #expect(!seen.contains(3, at: start + .seconds(1000)), "also when nobody asked meanwhile")
    }

    @Test func noMoreIsRememberedThanThereIsRoomForAndTheNewestStay() {
        var seen = RecentlySeen<Int>(most: 100, within: .seconds(10))
        for number in 0..<10_000 {
            seen.insert(number, at: start)
            #expect(seen.count <= 100 && seen.contains(number, at: start))
        }
        #expect(seen.contains(9960, at: start) && !seen.contains(9800, at: start))
    }

    @Test func aClockThatIsSetBackForgetsAndGoesOn() {
        var seen = RecentlySeen<Int>(most: 100, within: .seconds(10))
        seen.insert(1, at: start)
        #expect(!seen.contains(1, at: start + .seconds(-3600)))
        seen.insert(2, at: start + .seconds(-3600))
        #expect(seen.contains(2, at: start + .seconds(-3599)))
        #expect(!seen.contains(2, at: start + .seconds(-3585)))
    }

    @Test func whatIsRemovedIsGone() {
        var seen = RecentlySeen<Int>(most: 100, within: .seconds(10))
        seen.insert(1, at: start)
        seen.insert(2, at: start + .seconds(6))
        seen.remove(1)
        seen.remove(2)
        #expect(!seen.contains(1, at: start + .seconds(6)) && !seen.contains(2, at: start + .seconds(6)))
    }
}
