import PostgresClient
import Testing

struct JobMachineTests {
    private func start(_ job: inout JobMachine, isLate: Bool = false) -> Bool { job.started(isLate: isLate) }
    private func end(_ job: inout JobMachine, again: Bool = false) -> Bool { job.ended(again: again) }
    private func cancel(_ job: inout JobMachine) -> Bool { job.cancelled() }

    @Test func aCancelThatComesAfterTheEndIsNotSent() {
        var job = JobMachine()
        #expect(start(&job))
        #expect(!end(&job))
        #expect(!cancel(&job), "its connection does something else by now")
    }

    @Test func aCancelDuringTheWorkCostsTheConnection() {
        var job = JobMachine()
        #expect(start(&job))
        #expect(cancel(&job))
        #expect(!cancel(&job), "once is enough")
        #expect(end(&job), "it may arrive when the connection does something else")
    }

    @Test func workWhoseConnectionBrokeIsStartedOnceMoreUnlessItWasCancelled() {
        var job = JobMachine()
        #expect(start(&job))
        #expect(!end(&job, again: true))
        #expect(job.isWaiting)
        #expect(!cancel(&job), "nothing is at work for it")
        #expect(!start(&job))

        var other = JobMachine()
        #expect(start(&other))
        #expect(cancel(&other))
        #expect(end(&other, again: true))
        #expect(!start(&other))
    }

    @Test func whatIsLateOrWasCancelledIsNotStarted() {
        var late = JobMachine()
        #expect(!start(&late, isLate: true))
        var cancelled = JobMachine()
        #expect(!cancel(&cancelled))
        #expect(!cancelled.isWaiting)
        #expect(!start(&cancelled))
    }
}
