import PostgresClient
import Testing

struct ReconnectMachineTests {
    private let start = ContinuousClock.now
    private let down = PostgresError(.unreachable, "down")

    private func order(_ machine: inout ReconnectMachine, at time: Duration) -> ReconnectMachine.Order {
        machine.mayConnect(now: start + time, until: start + time + .seconds(4))
    }

    @Test func whileNobodyFailedEverybodyMayConnect() {
        var machine = ReconnectMachine()
        #expect(order(&machine, at: .zero) == .connect)
        #expect(order(&machine, at: .zero) == .connect)
    }

    @Test func afterAFailureOneTriesAndTheOthersHearWhy() {
        var machine = ReconnectMachine()
        machine.failed(down, now: start)
        #expect(order(&machine, at: .milliseconds(49)) == .refuse(down))
        #expect(order(&machine, at: .milliseconds(50)) == .connect)
        #expect(order(&machine, at: .milliseconds(51)) == .refuse(down))
        machine.connected()
        #expect(order(&machine, at: .milliseconds(52)) == .connect)
    }

    @Test func pausesDoubleUpToALimit() {
        var machine = ReconnectMachine()
        machine.failed(down, now: start)
        var now = Duration.zero
        for pause in [50, 100, 200, 400, 800, 800, 800] {
            #expect(order(&machine, at: now + .milliseconds(pause - 1)) == .refuse(down), "\(pause)")
            now += .milliseconds(pause)
            #expect(order(&machine, at: now) == .connect, "\(pause)")
            machine.failed(down, now: start + now)
        }
    }

    @Test func manyThatFailAtOnceCountAsOne() {
        var machine = ReconnectMachine()
        for _ in 0..<10 { machine.failed(down, now: start) }
        #expect(order(&machine, at: .milliseconds(50)) == .connect)
    }

    @Test func whoHadNoTimeToTryCountsForNothing() {
        var machine = ReconnectMachine()
        machine.gaveUp(now: start)
        #expect(order(&machine, at: .zero) == .connect)
        machine.failed(down, now: start)
        #expect(order(&machine, at: .milliseconds(50)) == .connect)
        machine.gaveUp(now: start + .milliseconds(60))
        #expect(order(&machine, at: .milliseconds(60)) == .connect)
        machine.failed(down, now: start + .milliseconds(60))
        #expect(order(&machine, at: .milliseconds(159)) == .refuse(down), "the second failure, not the third")
        #expect(order(&machine, at: .milliseconds(160)) == .connect)
    }

    @Test func whoNeverComesBackHoldsNobodyUp() {
        var machine = ReconnectMachine()
        machine.failed(down, now: start)
        #expect(order(&machine, at: .milliseconds(50)) == .connect)
        #expect(order(&machine, at: .seconds(4)) == .refuse(down))
        #expect(order(&machine, at: .milliseconds(4050)) == .connect)
    }
}

struct StatementNamesTests {
    @Test func aTextIsPreparedOnce() {
        var names = StatementNames()
        #expect(names.use(of: "a") == .new("s1", forget: nil))
        #expect(names.use(of: "a") == .new("s2", forget: nil), "the server refused it")
        names.prepared("a", as: "s2")
        #expect(names.use(of: "a") == .known("s2"))
    }

    @Test func theOneUsedLongestAgoMakesRoom() {
        var names = StatementNames(limit: 2)
        for text in ["a", "b"] {
            guard case .new(let name, nil) = names.use(of: text) else {
                Issue.record("\(text)")
                return
            }
            names.prepared(text, as: name)
        }
        _ = names.use(of: "a")
        #expect(names.use(of: "c") == .new("s3", forget: "s2"))
    }
}
