import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// What the compute uses. What the kernel does not tell is left out, never guessed.
final class StatsService: Sendable {
    struct Figures: Sendable {
        var cpuSeconds: Double
        /// Of one processor, since the last question; nil at the first one.
        var cpuPercent: Double?
        var processors: Int
        var memoryUsed: Int?
        var memoryLimit: Int?
        var diskUsed: Int?
        var diskSize: Int?
        var processes: Int
        var traffic: KernelFigures.Traffic?
        var uptime: Duration
    }

    private struct Sample {
        let cpuSeconds: Double
        let time: ContinuousClock.Instant
        let percent: Double?
    }

    private let memoryLimit: Int?
    private let gauge = MemoryGauge.here
    private let began = ContinuousClock.now
    private let threads: ScanThreads
    private let reaper: Reaper
    private let last = Mutex<Sample?>(nil)

    /// - Parameters:
    ///   - memoryLimit: nil: what the kernel has.
    ///   - reaper: what it has set aside is nobody's command yet, and does not count.
    init(memoryLimit: Int?, threads: ScanThreads, reaper: Reaper) {
        self.reaper = reaper
        self.memoryLimit = memoryLimit
        self.threads = threads
    }

    func figures(for compute: ComputeContext) async throws -> Figures {
        try await threads.asOurselves { self.measure(compute) }
    }

    private func measure(_ compute: ComputeContext) -> Figures {
        let hidden = reaper.aside
        let processes = Descendants.scan().filter { !hidden.contains($0.pid) }
        // Those that have ended were collected by their parents or by us, and are in their parents' sums.
        let ticks = processes.reduce(0) { $0 &+ $1.line.ownTicks &+ $1.line.collectedTicks }
        let cpuSeconds =
            Double(ticks) / Double(KernelFigures.ticksPerSecond) + Self.seconds(RUSAGE_SELF.rawValue)
            + Self.seconds(RUSAGE_CHILDREN.rawValue)
        let disk = Self.disk(compute.directory) ?? Self.disk("/")
        return Figures(
            cpuSeconds: cpuSeconds, cpuPercent: percent(cpuSeconds),
            processors: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), memoryUsed: gauge.used(),
            memoryLimit: memoryLimit ?? KernelFigures.totalMemory(), diskUsed: disk?.used, diskSize: disk?.size,
            processes: processes.count, traffic: KernelFigures.traffic(), uptime: .now - began)
    }

    private func percent(_ cpuSeconds: Double) -> Double? {
        last.withLock { last in
            let now = ContinuousClock.now
            guard let previous = last else {
                last = Sample(cpuSeconds: cpuSeconds, time: now, percent: nil)
                return nil
            }
            let elapsed = Double((now - previous.time).wholeMilliseconds) / 1000
            // Ticks are hundredths of a second: over less than this they say nothing.
            guard elapsed >= 0.5 else { return previous.percent }
            // A process that went without being collected takes its time with it.
            let percent = max(0, cpuSeconds - previous.cpuSeconds) / elapsed * 100
            last = Sample(cpuSeconds: cpuSeconds, time: now, percent: percent)
            return percent
        }
    }

    private static func seconds(_ who: Int32) -> Double {
        var usage = rusage()
        guard getrusage(who, &usage) == 0 else { return 0 }
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    private static func disk(_ path: String) -> (used: Int, size: Int)? {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return nil }
        let (size, overflow) = Int(clamping: info.f_blocks).multipliedReportingOverflow(by: Int(info.f_frsize))
        // A file system that has no limit of its own says the largest number that it can.
        guard !overflow, size > 0, size < 1 << 60, info.f_bfree <= info.f_blocks else { return nil }
        return (size - Int(info.f_bfree) * Int(info.f_frsize), size)
    }
}
