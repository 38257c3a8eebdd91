import Glibc
import LinuxHost
import Testing

@Suite(.timeLimit(.minutes(1))) struct ProcessWatchTests {
    private let tools = Tools.ofThisProcess

    /// Nobody's child.
    private func start(_ command: String) async throws -> Int32 {
        let output = try await tools.run("sh", ["-c", #"sh -c "$1" >/dev/null 2>&1 & echo $!"#, "sh", command])
        return try #require(Int32(output.standardOutput.split(separator: "\n").first ?? ""))
    }

    @Test func theEndOfEachProcessIsToldToItsOwnWaiters() async throws {
        let watch = ProcessWatch()
        let short = try await start("exec sleep 1000")
        let long = try await start("exec sleep 1000")
        async let one: Void = watch.ended(short)
        async let two: Void = watch.ended(short)
        let other = Task { await watch.ended(long) }
        kill(short, SIGKILL)
        await one
        await two
        #expect(!ProcessWatch.isRunning(short))
        #expect(ProcessWatch.isRunning(long))
        kill(long, SIGKILL)
        await other.value
        #expect(!ProcessWatch.isRunning(long))
    }

    @Test func aProcessThatIsNotThereHasEnded() async throws {
        let process = try await start("exit 0")
        let watch = ProcessWatch()
        await watch.ended(process)
        await watch.ended(process)
        #expect(!ProcessWatch.isRunning(process))
    }

    @Test func aCancelledWaiterGoesAtOnce() async throws {
        let process = try await start("exec sleep 1000")
        let watch = ProcessWatch()
        let waiter = Task { await watch.ended(process) }
        waiter.cancel()
        await waiter.value
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            await watch.ended(process)
        }
        await early.value
        #expect(ProcessWatch.isRunning(process))
        kill(process, SIGKILL)
    }

    @Test func aKernelWithoutProcessDescriptorsIsAskedInstead() async throws {
        let process = try await start("exec sleep 1000")
        let waiter = Task { await ProcessWatch.endedByAsking(process, every: .milliseconds(1)) }
        kill(process, SIGKILL)
        await waiter.value
        #expect(!ProcessWatch.isRunning(process))
    }
}
