import APIContract
import ComputeCore
import Foundation
import GatewayService
import NIOCore
import Testing

private let id = ComputeID("abcdefgh12345678wxyz")!

private func record(
    _ state: RouteState, _ generation: Int = 1, id: ComputeID = id, version: Int? = nil
) -> RouteRecord {
    RouteRecord(
        computeId: id, group: .default, state: state, generation: Generation(generation),
        sidekick: state == .running ? .unix(path: "/g\(generation)") : nil,
        portHost: state == .running ? "127.0.0.1" : nil, version: version)
}

@Suite struct RouteTableTests {
    private let now = ContinuousClock.now

    private func live(_ limits: RouteTable.Limits = .init()) -> RouteTable {
        var table = RouteTable(limits: limits)
        table.caughtUp()
        return table
    }

    private func heard(_ state: RouteState, _ ports: PortAccess?, version: Int) -> RouteRecord {
        var made = record(state, version: version)
        made.ports = ports
        return made
    }

    private let shut = PortAccess(usual: .private, ports: [3000: .public])

    private func ports(_ access: PortAccess, _ version: Int) -> PortsRecord {
        PortsRecord(computeId: id, ports: access, version: version)
    }

    @Test func portsStayWhatTheyWereUntilSomethingSaysOtherwise() {
        var table = live()
        _ = table.happened(heard(.starting, shut, version: 1))
        _ = table.happened(heard(.running, nil, version: 2))
        #expect(table.find(id, now: now) == .running(heard(.running, shut, version: 2)))
        #expect(!table.isPublic(80, of: id) && table.isPublic(3000, of: id))
        #expect(table.happened(ports(.open, 3)) == .confine(id, .open))
        #expect(table.isPublic(80, of: id))
        // Heard again, and late.
        #expect(table.happened(ports(shut, 3)) == .doNothing)
        #expect(table.happened(ports(shut, 2)) == .doNothing)
        #expect(table.isPublic(80, of: id))
        #expect(table.happened(ports(shut, 4)) == .confine(id, shut))
        _ = table.happened(heard(.paused, nil, version: 5))
        _ = table.happened(heard(.running, nil, version: 6))
        #expect(!table.isPublic(80, of: id))
    }

    @Test func anAnswerThatWasOvertakenByAChangeOfPortsDoesNotOpenThem() {
        var table = live()
        _ = table.find(id, now: now)
        #expect(table.happened(ports(shut, 5)) == .doNothing)
        #expect(table.happened(ports(.open, 4)) == .doNothing)
        #expect(table.lookedUp(id, found: heard(.running, .open, version: 3), now: now) == .confine(id, shut))
        #expect(!table.isPublic(80, of: id))
        // An old answer to a later question, as after a restart of the feed.
        table.restarted()
        _ = table.find(id, now: now)
        _ = table.lookedUp(id, found: heard(.running, .open, version: 4), now: now)
        #expect(!table.isPublic(80, of: id))
        table.restarted()
        _ = table.find(id, now: now)
        #expect(table.lookedUp(id, found: heard(.running, .open, version: 6), now: now) == .confine(id, .open))
        #expect(table.isPublic(80, of: id))
    }

    @Test func missIsLookedUpOnce() {
        var table = live()
        #expect(table.find(id, now: now) == .lookUp)
        #expect(table.find(id, now: now) == .pending)
        #expect(table.lookedUp(id, found: record(.running), now: now) == .wake(id))
        #expect(table.find(id, now: now) == .running(record(.running)))
    }

    @Test func unknownIsBelievedForAWhile() {
        var table = live()
        _ = table.find(id, now: now)
        #expect(table.lookedUp(id, found: nil, now: now) == .wake(id))
        #expect(table.find(id, now: now.advanced(by: .milliseconds(999))) == .unknown)
        #expect(table.find(id, now: now.advanced(by: .seconds(1))) == .lookUp)
    }

    @Test func eventMakesAnUnknownComputeKnown() {
        var table = live()
        _ = table.find(id, now: now)
        _ = table.lookedUp(id, found: nil, now: now)
        #expect(table.happened(record(.starting)) == .wake(id))
        #expect(table.find(id, now: now) == .starting)
        #expect(table.happened(record(.running)) == .wake(id))
        #expect(table.find(id, now: now) == .running(record(.running)))
    }

    @Test func unknownThatWasOvertakenByAnEventDoesNotCount() {
        var table = live()
        _ = table.find(id, now: now)
        _ = table.happened(record(.running))
        _ = table.lookedUp(id, found: nil, now: now)
        #expect(table.find(id, now: now) == .running(record(.running)))
    }

    @Test func staleAnswerDoesNotBringAnEndedComputeBack() {
        var table = live(RouteTable.Limits(ended: 0))
        #expect(table.find(id, now: now) == .lookUp)
        #expect(table.happened(record(.ended)) == .disconnect(id, below: nil))
        #expect(table.lookedUp(id, found: record(.running, 9), now: now) == .wake(id))
        #expect(table.find(id, now: now) == .lookUp)
    }

    @Test func endIsFinal() {
        var table = live()
        _ = table.happened(record(.running))
        #expect(table.happened(record(.ended)) == .disconnect(id, below: nil))
        #expect(table.happened(record(.running, 2)) == .doNothing)
        #expect(table.find(id, now: now) == .ended)
        #expect(table.count == 0)
    }

    @Test func newGenerationDisconnectsTheOld() {
        var table = live()
        _ = table.happened(record(.running, 1))
        #expect(table.happened(record(.starting, 2)) == .disconnect(id, below: Generation(2)))
        #expect(table.find(id, now: now) == .starting)
        #expect(table.happened(record(.running, 1)) == .doNothing)
        #expect(table.happened(record(.running, 2)) == .wake(id))
        #expect(table.happened(record(.starting, 2)) == .doNothing)
        #expect(table.find(id, now: now) == .running(record(.running, 2)))
    }

    @Test func pausedDisconnectsAndIsNotWaitedForUntilItGoesOn() {
        var table = live()
        let running = record(.running, version: 2)
        _ = table.happened(running)
        #expect(table.isCurrent(running))
        #expect(table.happened(record(.paused, version: 3)) == .disconnect(id, below: nil))
        #expect(table.find(id, now: now) == .paused)
        #expect(!table.isCurrent(running))
        #expect(table.happened(record(.paused, version: 3)) == .wake(id), "once is enough")
        #expect(table.happened(running) == .doNothing, "it is older")
        #expect(table.find(id, now: now) == .paused)
        #expect(table.happened(record(.running, version: 4)) == .wake(id))
        #expect(table.find(id, now: now) == .running(record(.running, version: 4)))
        #expect(table.isCurrent(running), "it is where it was")
        #expect(table.happened(record(.paused, version: 3)) == .doNothing)
        #expect(table.happened(record(.ended, version: 9)) == .disconnect(id, below: nil))
        #expect(table.happened(record(.paused, version: 8)) == .doNothing)
        #expect(table.find(id, now: now) == .ended)
    }

    @Test func stoppedDisconnectsUntilItRunsAsTheNextGeneration() {
        var table = live()
        let running = record(.running, version: 2)
        _ = table.happened(running)
        #expect(table.happened(record(.stopped, version: 3)) == .disconnect(id, below: nil))
        #expect(table.find(id, now: now) == .stopped)
        #expect(!table.isCurrent(running))
        #expect(table.happened(running) == .doNothing, "it is older")
        let again = record(.running, 2, version: 4)
        #expect(table.happened(again) == .disconnect(id, below: Generation(2)))
        #expect(table.find(id, now: now) == .running(again))
        #expect(!table.isCurrent(running) && table.isCurrent(again))
        #expect(table.happened(record(.stopped, version: 3)) == .doNothing)
    }

    @Test func ofPausesAndResumesInAnyOrderTheLastOneCounts() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(state: seed)
        for _ in 0..<200 {
            let states: [RouteState] = [.starting, .running] + (0..<6).map { $0 % 2 == 0 ? .paused : .running }
            let count = Int.random(in: 1...states.count, using: &random)
            let news = (0..<count).map { record(states[$0], version: $0 + 1) }
            var table = RouteTable()
            for record in news.shuffled(using: &random) {
                if Bool.random(using: &random), table.find(id, now: now) == .lookUp {
                    _ = table.lookedUp(id, found: record, now: now)
                } else {
                    _ = table.happened(record)
                }
            }
            table.caughtUp()
            let expected: RouteTable.Finding =
                switch states[count - 1] {
                case .starting: .starting
                case .paused: .paused
                case .running, .stopped, .ended: .running(news[count - 1])
                }
            #expect(table.find(id, now: now) == expected, "seed \(seed)")
        }
    }

    @Test func replayedHistoryIsConfirmedBeforeUse() {
        var table = RouteTable()
        _ = table.happened(record(.running))
        #expect(table.find(id, now: now) == .lookUp)
        _ = table.lookedUp(id, found: record(.ended), now: now)
        _ = table.happened(record(.running))
        #expect(table.find(id, now: now) == .ended)
    }

    @Test func confirmedRouteServesWhileTheFeedReplays() {
        var table = RouteTable()
        _ = table.find(id, now: now)
        _ = table.lookedUp(id, found: record(.running, 3), now: now)
        _ = table.happened(record(.running, 1))
        _ = table.happened(record(.running, 3))
        #expect(table.find(id, now: now) == .running(record(.running, 3)))
        table.restarted()
        #expect(table.find(id, now: now) == .lookUp)
    }

    @Test func replayEndsTheNeedToConfirm() {
        var table = RouteTable()
        _ = table.happened(record(.running))
        table.caughtUp()
        #expect(table.find(id, now: now) == .running(record(.running)))
    }

    @Test func lookupsAreBounded() {
        var table = live(RouteTable.Limits(lookups: 2))
        for _ in 0..<2 { #expect(table.find(.random(), now: now) == .lookUp) }
        #expect(table.find(id, now: now) == .overloaded)
    }

    @Test func failedLookupIsTriedAgain() {
        var table = live()
        _ = table.find(id, now: now)
        table.lookupFailed(id)
        #expect(table.find(id, now: now) == .lookUp)
    }

    @Test func whatScannersMakeUsRememberIsBounded() {
        var ids = ExpiringIDs()
        let all = (0..<1_000).map { _ in ComputeID.random() }
        for id in all { ids.insert(id, until: nil, atMost: 10) }
        #expect(ids.count == 10)
        #expect(all.suffix(10).allSatisfy { ids.contains($0) })
    }

    /// Whatever order the same news arrives in, the outcome is the same: the newest, and an end is the end.
    @Test func arrivalOrderDoesNotMatter() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(state: seed)
        for _ in 0..<500 {
            let states: [RouteState] =
                Bool.random(using: &random) ? [.starting, .running] : [.starting, .running, .ended]
            let news = (0..<Int.random(in: 1...8, using: &random)).map { _ in
                record(states.randomElement(using: &random)!, Int.random(in: 1...4, using: &random))
            }
            let newest = news.max {
                ($0.generation.rawValue, $0.state == .running ? 1 : 0)
                    < ($1.generation.rawValue, $1.state == .running ? 1 : 0)
            }!
            let expected: RouteTable.Finding =
                news.contains { $0.state == .ended }
                ? .ended : newest.state == .running ? .running(newest) : .starting
            for _ in 0..<4 {
                var table = RouteTable()
                for record in news.shuffled(using: &random) {
                    // Some of it by the feed, some by lookups where one is due.
                    if Bool.random(using: &random), table.find(id, now: now) == .lookUp {
                        _ = table.lookedUp(id, found: record, now: now)
                    } else {
                        _ = table.happened(record)
                    }
                }
                table.caughtUp()
                #expect(table.find(id, now: now) == expected, "seed \(seed)")
            }
        }
    }
}

private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct LineSplitterTests {
    @Test func linesSurviveEverySplit() throws {
        let text = "one\n\ntwo two\nthree\nrest"
        for cut in 0...text.utf8.count {
            var splitter = LineSplitter(maxLineBytes: 100)
            let bytes = Array(text.utf8)
            var lines = try splitter.split(ByteBuffer(bytes: bytes[..<cut]))
            lines += try splitter.split(ByteBuffer(bytes: bytes[cut...]))
            lines += try splitter.split(ByteBuffer(string: "\n"))
            #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["one", "two two", "three", "rest"])
        }
    }

    @Test func endlessLineIsRefused() {
        var splitter = LineSplitter(maxLineBytes: 10)
        #expect(throws: GatewayError.self) { try splitter.split(ByteBuffer(string: "12345678901")) }
    }
}
