import SidekickService
import Testing

@Suite struct TerminalHubTests {
    let terminal = TerminalID("t1")

    /// Everything a connection would be sent now.
    static func drain(_ hub: inout TerminalHub, _ id: TerminalHub.ConnectionID) -> [TerminalHub.Next] {
        var all: [TerminalHub.Next] = []
        while true {
            let next = hub.take(id)
            if next == .wait { return all }
            all.append(next)
            if case .close = next { return all }
        }
    }

    static func output(_ hub: inout TerminalHub, _ id: TerminalID, _ text: String) -> TerminalHub.Order {
        Array(text.utf8).withUnsafeBytes { hub.output(id, $0) }
    }

    @Test func creationIsToldToEveryConnectionWithoutSubscription() throws {
        var hub = TerminalHub()
        let first = hub.connected()!
        let second = hub.connected()!
        hub.added(terminal, .raw)
        let order = hub.announce(terminal)
        #expect(order == .wake([first, second]))
        #expect(Self.drain(&hub, first) == [.send(.created(terminal))])
        #expect(Self.drain(&hub, second) == [.send(.created(terminal))])
    }

    @Test func aNewConnectionIsToldOfRunningTerminals() {
        var hub = TerminalHub()
        hub.added(terminal, .raw)
        let late = hub.connected()!
        #expect(hub.announceAll(to: late) == .wake([late]))
        #expect(Self.drain(&hub, late) == [.send(.created(terminal))])
    }

    @Test func earlyOutputWaitsForTheFirstSubscriber() {
        var hub = TerminalHub()
        let connection = hub.connected()!
        hub.added(terminal, .raw)
        #expect(Self.output(&hub, terminal, "$ ") == .doNothing)
        #expect(hub.subscribed(connection, to: terminal.channel) == .wake([connection]))
        #expect(Self.drain(&hub, connection) == [.send(.output(terminal, text: "$ ", .raw, dropped: 0))])
        #expect(hub.subscribed(connection, to: terminal.channel) == .doNothing)
    }

    @Test func outputWhileAwayWaitsForTheNextSubscriber() {
        var hub = TerminalHub()
        let first = hub.connected()!
        hub.added(terminal, .raw)
        _ = hub.subscribed(first, to: terminal.channel)
        hub.disconnected(first)
        _ = Self.output(&hub, terminal, "missed")
        let second = hub.connected()!
        _ = hub.subscribed(second, to: terminal.channel)
        #expect(Self.drain(&hub, second) == [.send(.output(terminal, text: "missed", .raw, dropped: 0))])
    }

    @Test func outputGoesToSubscribersOnly() {
        var hub = TerminalHub()
        let subscriber = hub.connected()!
        let other = hub.connected()!
        hub.added(terminal, .raw)
        _ = hub.subscribed(subscriber, to: terminal.channel)
        hub.added(TerminalID("t2"), .raw)
        _ = hub.subscribed(other, to: "terminal:t2")
        #expect(Self.output(&hub, terminal, "x") == .wake([subscriber]))
        #expect(Self.drain(&hub, other).isEmpty)
        hub.unsubscribed(subscriber, from: terminal.channel)
        #expect(Self.output(&hub, terminal, "y") == .doNothing)
    }

    @Test func theEndIsToldToAllAfterTheLastOutput() {
        var hub = TerminalHub()
        let subscriber = hub.connected()!
        let other = hub.connected()!
        hub.added(terminal, .raw)
        _ = hub.subscribed(subscriber, to: terminal.channel)
        _ = [0x61, 0xE2, 0x82].withUnsafeBytesOfBytes { hub.output(terminal, $0) }
        let ended = hub.ended(terminal, exitCode: 3)
        #expect(ended.order == .wake([subscriber, other]))
        #expect(!ended.isKept)
        #expect(
            Self.drain(&hub, subscriber) == [
                .send(.output(terminal, text: "a\u{FFFD}", .raw, dropped: 0)),
                .send(.destroyed(terminal, exitCode: 3)),
            ])
        #expect(Self.drain(&hub, other) == [.send(.destroyed(terminal, exitCode: 3))])
        #expect(hub.announce(terminal) == .doNothing)
    }

    @Test func aTerminalThatEndedUnseenKeepsItsLastWords() {
        var hub = TerminalHub()
        hub.added(terminal, .raw)
        _ = Self.output(&hub, terminal, "bye")
        #expect(hub.ended(terminal, exitCode: 0).isKept)
        let late = hub.connected()!
        #expect(hub.announceAll(to: late) == .doNothing)
        _ = hub.subscribed(late, to: terminal.channel)
        #expect(
            Self.drain(&hub, late) == [
                .send(.output(terminal, text: "bye", .raw, dropped: 0)), .send(.destroyed(terminal, exitCode: 0)),
            ])
        hub.forgotten(terminal)
        let later = hub.connected()!
        #expect(hub.subscribed(later, to: terminal.channel) == .wake([later]))
        #expect(Self.drain(&hub, later) == [.send(.terminalError(terminal, "there is no such terminal"))])
    }

    @Test func base64CarriesBytesExactly() {
        var hub = TerminalHub()
        let connection = hub.connected()!
        hub.added(terminal, .base64)
        _ = hub.subscribed(connection, to: terminal.channel)
        _ = [0xFF, 0x00, 0x61].withUnsafeBytesOfBytes { hub.output(terminal, $0) }
        #expect(Self.drain(&hub, connection) == [.send(.output(terminal, text: "/wBh", .base64, dropped: 0))])
    }

    @Test func aSlowSubscriberLosesOutputAndIsToldHowMuch() {
        var hub = TerminalHub()
        let slow = hub.connected()!
        hub.added(terminal, .raw)
        _ = hub.subscribed(slow, to: terminal.channel)
        let chunk = String(repeating: "x", count: 64 << 10)
        let sent = 100 * chunk.utf8.count
        for _ in 0..<100 { _ = Self.output(&hub, terminal, chunk) }
        var text = 0
        var told = 0
        func count(_ events: [TerminalHub.Next]) {
            for case .send(.output(_, let part, _, let dropped)) in events {
                text += part.utf8.count
                told += dropped
            }
        }
        count(Self.drain(&hub, slow))
        #expect(text <= OutboundQueue.maxOutputBytes)
        _ = hub.ended(terminal, exitCode: 0)
        let end = Self.drain(&hub, slow)
        count(end)
        #expect(text + told == sent)
        #expect(end.last == .send(.destroyed(terminal, exitCode: 0)))
    }

    @Test func aConnectionThatReadsNothingAtAllIsClosed() {
        var hub = TerminalHub()
        let stuck = hub.connected()!
        hub.added(terminal, .raw)
        for _ in 0...OutboundQueue.maxOtherEvents { _ = hub.announce(terminal) }
        #expect(hub.take(stuck) == .close(code: 1013, reason: "too slow"))
    }

    @Test func theBacklogKeepsTheNewestAndSaysWhatIsMissing() {
        var hub = TerminalHub()
        hub.added(terminal, .raw)
        let chunk = String(repeating: "y", count: 64 << 10)
        for _ in 0..<10 { _ = Self.output(&hub, terminal, chunk) }
        let connection = hub.connected()!
        _ = hub.subscribed(connection, to: terminal.channel)
        var text = 0
        var dropped = 0
        for case .send(.output(_, let part, _, let missing)) in Self.drain(&hub, connection) {
            text += part.utf8.count
            dropped += missing
        }
        #expect(text == Backlog.maxBytes)
        #expect(text + dropped == 10 * chunk.utf8.count)
    }

    @Test func closingSendsWhatIsQueuedThenGoingAway() {
        var hub = TerminalHub()
        let connection = hub.connected()!
        hub.added(terminal, .raw)
        _ = hub.announce(terminal)
        #expect(hub.closing() == .wake([connection]))
        #expect(
            Self.drain(&hub, connection) == [
                .send(.created(terminal)), .close(code: 1001, reason: "shutting down"),
            ])
        #expect(hub.connected() == nil)
    }

    @Test func connectionsAndChannelsAreBounded() {
        var hub = TerminalHub()
        let first = hub.connected()!
        for _ in 1..<TerminalHub.maxConnections { _ = hub.connected() }
        #expect(hub.connected() == nil)
        for number in 0..<TerminalHub.maxChannels { _ = hub.subscribed(first, to: "c\(number)") }
        #expect(Self.drain(&hub, first).isEmpty)
        _ = hub.subscribed(first, to: "one more")
        guard case .send(.error) = hub.take(first) else {
            Issue.record("no error")
            return
        }
    }
}

extension [Int] {
    func withUnsafeBytesOfBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        map { UInt8($0) }.withUnsafeBytes(body)
    }
}
