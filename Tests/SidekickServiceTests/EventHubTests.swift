import ComputeCore
import SidekickService
import Testing

@Suite struct EventHubTests {
    static let channel = "terminal:t1"
    static let format = OutputFormat(types: ["terminal:output"], capacity: 256 << 10)
    static let created = SocketEvent("terminal:created", channel: channel, ["id": .string("t1")])
    static let destroyed = SocketEvent("terminal:destroyed", channel: channel, ["id": .string("t1")])

    /// Everything a connection would be sent now.
    static func drain(_ hub: inout EventHub, _ id: EventHub.ConnectionID) -> [EventHub.Next] {
        var all: [EventHub.Next] = []
        while true {
            let next = hub.take(id)
            if next == .wait { return all }
            all.append(next)
            if case .close = next { return all }
        }
    }

    /// The text of all output in those events, and how many bytes they say are missing.
    static func output(_ events: [EventHub.Next], type: String = "terminal:output") -> (text: String, dropped: Int64) {
        var text = ""
        var dropped: Int64 = 0
        for case .send(let event) in events where event.type == type {
            text += event.data["output"]?.text ?? ""
            if case .int(let count) = event.data["dropped_bytes"] { dropped += count }
        }
        return (text, dropped)
    }

    private func hub(_ format: OutputFormat = EventHubTests.format) -> EventHub {
        var hub = EventHub()
        hub.opened(Self.channel, format)
        return hub
    }

    @discardableResult
    private func write(_ hub: inout EventHub, _ bytes: [UInt8], stream: Int = 0) -> EventHub.Order {
        bytes.withUnsafeBytes { hub.output(Self.channel, stream: stream, $0) }
    }

    @discardableResult
    private func write(_ hub: inout EventHub, _ text: String, stream: Int = 0) -> EventHub.Order {
        write(&hub, Array(text.utf8), stream: stream)
    }

    @Test func creationIsToldToEveryConnectionWithoutSubscription() {
        var hub = hub()
        let first = hub.connected()!
        let second = hub.connected()!
        #expect(hub.published(Self.created, to: .everyone) == .wake([first, second]))
        #expect(Self.drain(&hub, first) == [.send(Self.created)])
        #expect(Self.drain(&hub, second) == [.send(Self.created)])
    }

    @Test func trap5EarlyOutputWaitsForTheFirstSubscriber() {
        var hub = hub()
        let connection = hub.connected()!
        #expect(write(&hub, "$ ") == .doNothing)
        #expect(hub.subscribed(connection, to: Self.channel).order == .wake([connection]))
        #expect(
            Self.drain(&hub, connection) == [
                .send(
                    SocketEvent(
                        "terminal:output", channel: Self.channel,
                        [
                            "output": .string("$ "), "encoding": .string("raw"), "offset": .int(0),
                            "next_offset": .int(2),
                        ]))
            ])
        _ = hub.subscribed(connection, to: Self.channel)
        #expect(Self.drain(&hub, connection).isEmpty, "asking again tells nothing again")
    }

    @Test func outputWhileAwayWaitsForTheNextSubscriber() {
        var hub = hub()
        let first = hub.connected()!
        _ = hub.subscribed(first, to: Self.channel)
        write(&hub, "seen ")
        _ = Self.drain(&hub, first)
        hub.disconnected(first)
        write(&hub, "missed")
        let second = hub.connected()!
        _ = hub.subscribed(second, to: Self.channel)
        #expect(Self.output(Self.drain(&hub, second)).text == "missed")
    }

    @Test func outputGoesToSubscribersOnly() {
        var hub = hub()
        let subscriber = hub.connected()!
        let other = hub.connected()!
        _ = hub.subscribed(subscriber, to: Self.channel)
        #expect(write(&hub, "x") == .wake([subscriber]))
        #expect(Self.drain(&hub, other).isEmpty)
        hub.unsubscribed(subscriber, from: Self.channel)
        #expect(write(&hub, "y") == .doNothing)
    }

    @Test func severalViewersGetTheSameEachAtItsOwnPace() {
        var hub = hub()
        let fast = hub.connected()!
        let slow = hub.connected()!
        for id in [fast, slow] { _ = hub.subscribed(id, to: Self.channel) }
        var seen = ""
        for number in 0..<50 {
            write(&hub, "\(number) ")
            seen += Self.output(Self.drain(&hub, fast)).text
        }
        #expect(Self.output(Self.drain(&hub, slow)).text == seen)
    }

    @Test func whoComesBackGoesOnFromTheOffsetItNames() {
        var hub = hub()
        write(&hub, "0123456789")
        let first = hub.connected()!
        _ = hub.subscribed(first, to: Self.channel)
        _ = Self.drain(&hub, first)
        let second = hub.connected()!
        _ = hub.subscribed(second, to: Self.channel)
        #expect(Self.drain(&hub, second).isEmpty, "beside a viewer: from now on")
        for (since, expected) in [(4, "456789"), (0, "0123456789"), (10, ""), (99, ""), (-5, "0123456789")] {
            _ = hub.subscribed(second, to: Self.channel, .init(since: [since]))
            #expect(Self.output(Self.drain(&hub, second)).text == expected, "since \(since)")
        }
    }

    @Test func aTakeoverDetachesAllOthersAndKeepsThemFromActing() {
        var hub = hub()
        let first = hub.connected()!
        let second = hub.connected()!
        _ = hub.subscribed(first, to: Self.channel)
        #expect(hub.mayAct(second, on: Self.channel) == true, "who watches does not own")
        #expect(hub.subscribed(second, to: Self.channel, .init(takesOver: true)).order == .wake([first, second]))
        #expect(
            Self.drain(&hub, first) == [
                .send(SocketEvent("detached", channel: Self.channel, ["reason": .string("takeover")]))
            ])
        #expect(write(&hub, "x") == .wake([second]))
        #expect(hub.mayAct(first, on: Self.channel) == false)
        #expect(hub.mayAct(second, on: Self.channel) == true)
        hub.disconnected(second)
        #expect(hub.mayAct(first, on: Self.channel) == true, "whoever took over has gone")
    }

    @Test func theEndIsToldAfterTheLastOutputAndToOthersAtOnce() {
        var hub = hub()
        let subscriber = hub.connected()!
        let other = hub.connected()!
        _ = hub.subscribed(subscriber, to: Self.channel)
        write(&hub, [0x61, 0xE2, 0x82])
        #expect(hub.ended(Self.channel, Self.destroyed) == .wake([subscriber]))
        #expect(hub.published(Self.destroyed, to: .others) == .wake([other]))
        let events = Self.drain(&hub, subscriber)
        #expect(Self.output(events).text == "a\u{FFFD}")
        #expect(events.last == .send(Self.destroyed))
        #expect(events.count == 2)
        #expect(Self.drain(&hub, other) == [.send(Self.destroyed)])
        #expect(write(&hub, "late") == .doNothing)
    }

    @Test func whatEndedUnseenIsToldToWhoComesLater() {
        var hub = hub()
        write(&hub, "bye")
        _ = hub.ended(Self.channel, Self.destroyed)
        let late = hub.connected()!
        _ = hub.subscribed(late, to: Self.channel)
        let events = Self.drain(&hub, late)
        #expect(Self.output(events).text == "bye")
        #expect(events.last == .send(Self.destroyed))
        #expect(hub.forgotten(Self.channel) == .doNothing)
        let later = hub.connected()!
        #expect(hub.subscribed(later, to: Self.channel).isKnown == false)
    }

    /// A server's name can be used again while somebody still watches it.
    @Test func subscribersOfAChannelThatIsOpenedAgainHearTheNewOneFromItsBeginning() {
        var hub = hub()
        let connection = hub.connected()!
        _ = hub.subscribed(connection, to: Self.channel)
        write(&hub, "a long life")
        _ = hub.ended(Self.channel, Self.destroyed)
        _ = Self.drain(&hub, connection)
        hub.opened(Self.channel, OutputFormat(types: ["out", "err"], capacity: 1 << 10))
        write(&hub, "new", stream: 0)
        write(&hub, "too", stream: 1)
        _ = hub.ended(Self.channel, Self.destroyed)
        let events = Self.drain(&hub, connection)
        #expect(Self.output(events, type: "out").text == "new")
        #expect(Self.output(events, type: "err").text == "too")
        #expect(events.last == .send(Self.destroyed))
    }

    @Test func whatNobodyAsksForAnyMoreLingersUntilItsReadersAreDone() {
        var hub = hub()
        let reader = hub.connected()!
        let other = hub.connected()!
        _ = hub.subscribed(reader, to: Self.channel)
        write(&hub, String(repeating: "o", count: 200_000))
        _ = hub.ended(Self.channel, Self.destroyed)
        _ = hub.take(reader)
        #expect(hub.lingers(Self.channel, forReadersOnly: true) == .doNothing)
        #expect(hub.isLingering(Self.channel) == true)
        #expect(hub.subscribed(other, to: Self.channel).isKnown == false, "for everybody else it is gone")
        let events = Self.drain(&hub, reader)
        #expect(Self.output(events).text.utf8.count == 200_000 - 32 << 10)
        #expect(events.last == .send(Self.destroyed))
        #expect(hub.isLingering(Self.channel) == false)
        #expect(hub.kept(Self.channel, stream: 0, from: 0, upTo: 1) == nil)
    }

    @Test func whatLingersGoesWithItsLastReader() {
        var hub = hub()
        let reader = hub.connected()!
        _ = hub.subscribed(reader, to: Self.channel)
        write(&hub, "unread")
        _ = hub.ended(Self.channel, Self.destroyed)
        _ = hub.lingers(Self.channel, forReadersOnly: true)
        hub.disconnected(reader)
        #expect(hub.isLingering(Self.channel) == false)

        hub.opened(Self.channel, Self.format)
        _ = hub.ended(Self.channel, Self.destroyed)
        _ = hub.lingers(Self.channel, forReadersOnly: true)
        #expect(hub.isLingering(Self.channel) == false, "nobody reads it")
    }

    @Test func readersOfWhatIsForgottenAreToldOfTheEndAndWhatTheyMiss() {
        var hub = hub()
        let reader = hub.connected()!
        let done = hub.connected()!
        for id in [reader, done] { _ = hub.subscribed(id, to: Self.channel) }
        write(&hub, "unread")
        _ = hub.ended(Self.channel, Self.destroyed)
        _ = Self.drain(&hub, done)
        _ = hub.lingers(Self.channel, forReadersOnly: true)
        #expect(hub.lingeringIsOver(Self.channel) == .wake([reader]))
        var ending = Self.destroyed
        ending.data["dropped_bytes"] = .int(6)
        #expect(Self.drain(&hub, reader) == [.send(ending)])
        #expect(hub.droppedBytes == 6)
        #expect(Self.drain(&hub, done).isEmpty)
        #expect(hub.lingeringIsOver(Self.channel) == .doNothing)
    }

    @Test func whatLingersIsBoundedInBytesAndInNumber() {
        var hub = EventHub()
        let reader = hub.connected()!
        let format = OutputFormat(types: ["terminal:output"], capacity: 4 << 20)
        let bytes = [UInt8](repeating: 0, count: 4 << 20)
        for number in 0..<6 {
            let name = "terminal:\(number)"
            hub.opened(name, format)
            _ = hub.subscribed(reader, to: name)
            _ = bytes.withUnsafeBytes { hub.output(name, stream: 0, $0) }
            _ = hub.ended(name, SocketEvent("terminal:destroyed", channel: name))
            let order = hub.lingers(name, forReadersOnly: number % 2 == 0)
            #expect(order == (number < 4 ? .doNothing : .wake([reader])))
        }
        #expect((0..<6).filter { hub.isLingering("terminal:\($0)") } == [2, 3, 4, 5], "the oldest goes first")
        for number in 0..<1000 {
            hub.opened("empty:\(number)", Self.format)
            _ = hub.lingers("empty:\(number)", forReadersOnly: false)
        }
        #expect((0..<1000).count { hub.isLingering("empty:\($0)") } == EventHub.maxLingering)
    }

    @Test func bothStreamsOfACommandComeBeforeItsExit() {
        var hub = hub(OutputFormat(types: ["command:stdout", "command:stderr"], capacity: 1 << 20))
        let connection = hub.connected()!
        _ = hub.subscribed(connection, to: Self.channel)
        let big = String(repeating: "o", count: 100_000)
        write(&hub, big, stream: 0)
        write(&hub, "error", stream: 1)
        _ = hub.ended(Self.channel, Self.destroyed)
        let events = Self.drain(&hub, connection)
        #expect(Self.output(events, type: "command:stdout").text == big)
        #expect(Self.output(events, type: "command:stderr").text == "error")
        #expect(events.last == .send(Self.destroyed))
    }

    @Test func base64CarriesBytesExactly() {
        var hub = hub(OutputFormat(types: ["terminal:output"], encoding: .base64, capacity: 1 << 10))
        let connection = hub.connected()!
        _ = hub.subscribed(connection, to: Self.channel)
        write(&hub, [0xFF, 0x00, 0x61])
        #expect(Self.output(Self.drain(&hub, connection)).text == "/wBh")
    }

    @Test func aSlowSubscriberLosesTheOldestAndIsToldHowMuch() {
        var hub = hub()
        let slow = hub.connected()!
        _ = hub.subscribed(slow, to: Self.channel)
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 64 << 10)
        for _ in 0..<100 { write(&hub, chunk) }
        _ = hub.ended(Self.channel, Self.destroyed)
        let events = Self.drain(&hub, slow)
        let (text, dropped) = Self.output(events)
        #expect(text.utf8.count == Self.format.capacity)
        #expect(text.utf8.count + Int(dropped) == 100 * chunk.count)
        #expect(events.last == .send(Self.destroyed))
        #expect(hub.footprint(Self.channel) == Self.format.capacity)
    }

    @Test func aTextInPiecesOfAnySizeComesOutWhole() {
        let text = "aé€😀\u{0}z\r\n한글\u{301}"
        for size in 1...text.utf8.count {
            var hub = hub()
            let connection = hub.connected()!
            _ = hub.subscribed(connection, to: Self.channel)
            var rest = Array(text.utf8)[...]
            var received = ""
            while !rest.isEmpty {
                write(&hub, Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
                let part = Self.output(Self.drain(&hub, connection)).text
                #expect(!part.unicodeScalars.contains("\u{FFFD}"))
                received += part
            }
            #expect(Array(received.utf8) == Array(text.utf8), "pieces of \(size)")
        }
    }

    @Test func aConnectionThatReadsNothingAtAllIsClosed() {
        var hub = hub()
        let stuck = hub.connected()!
        for _ in 0...4096 { _ = hub.published(Self.created, to: .everyone) }
        #expect(hub.take(stuck) == .close(code: 1013, reason: "too slow"))
    }

    /// Whoever sends what is echoed chooses how large it is.
    @Test func aConnectionThatLeavesAMegabyteUnreadIsClosed() {
        var hub = hub()
        let stuck = hub.connected()!
        let large = SocketEvent.error("no", channel: String(repeating: "x", count: 300_000))
        for _ in 0..<3 { _ = hub.published(large, to: .connection(stuck)) }
        #expect(hub.isStuck(stuck) == false)
        #expect(hub.take(stuck) == .send(large))
        _ = hub.published(large, to: .connection(stuck))
        #expect(hub.isStuck(stuck) == false, "what was taken counts no more")
        _ = hub.published(large, to: .connection(stuck))
        #expect(hub.isStuck(stuck) == true)
        #expect(hub.take(stuck) == .close(code: 1013, reason: "too slow"))
    }

    @Test func droppableEventsAreCountedWhenThereIsNoRoom() {
        var hub = EventHub()
        hub.opened("watcher:w1")
        let slow = hub.connected()!
        _ = hub.subscribed(slow, to: "watcher:w1")
        let changed = SocketEvent("file:changed", channel: "watcher:w1", ["path": .string("a")])
        for _ in 0..<10_000 { _ = hub.published(changed, to: .subscribers, isDroppable: true) }
        var received: Int64 = 0
        var missing: Int64 = 0
        for case .send(let event) in Self.drain(&hub, slow) {
            if event.type == "file:changed" { received += 1 }
            if case .int(let count) = event.data["dropped_events"] { missing += count }
        }
        #expect(received <= 4096)
        #expect(received + missing == 10_000)
    }

    @Test func closingSendsWhatIsQueuedThenGoingAway() {
        var hub = hub()
        let connection = hub.connected()!
        _ = hub.published(Self.created, to: .everyone)
        #expect(hub.closing() == .wake([connection]))
        #expect(
            Self.drain(&hub, connection) == [.send(Self.created), .close(code: 1001, reason: "shutting down")])
        #expect(hub.connected() == nil)
    }

    @Test func connectionsAndChannelsAreBounded() {
        var hub = EventHub()
        let first = hub.connected()!
        for _ in 1..<EventHub.maxConnections { _ = hub.connected() }
        #expect(hub.connected() == nil)
        for number in 0...EventHub.maxChannels {
            hub.opened("c\(number)")
            _ = hub.subscribed(first, to: "c\(number)")
        }
        guard case .send(let event) = hub.take(first), event.type == "error" else {
            Issue.record("no error")
            return
        }
        let name = String(repeating: "n", count: EventHub.maxChannelBytes + 1)
        hub.unsubscribed(first, from: "c0")
        #expect(hub.subscribed(first, to: name).isKnown == true, "told of the name instead")
    }
}
