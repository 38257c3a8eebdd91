package import NIOCore

/// Runs tasks on an event loop: whoever serves a connection runs where its bytes arrive and leave, and no thread has to
/// wake another one for each of them. What runs here must not block, as nothing may on the cooperative threads.
package final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    package init(_ loop: any EventLoop) { self.loop = loop }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
