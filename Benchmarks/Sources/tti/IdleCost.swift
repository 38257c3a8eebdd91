import Foundation

/// What a pool costs that nobody uses.
struct IdleCost: Encodable {
    /// Of one core, the server itself included.
    var cpuPercent: Double
    /// Proportional set size per member, MiB: memory that members share is divided among them.
    var megabytesEach: Double

    static func measure(_ server: Server, members: Int, over window: Duration) async throws -> IdleCost {
        // Whatever filling the pool set off has settled by then.
        try await Task.sleep(for: .seconds(10))
        let groups = try cgroups()
        let start = ContinuousClock.now
        let before = cpuSeconds(groups) + processSeconds(server.process)
        try await Task.sleep(for: window)
        let used = cpuSeconds(groups) + processSeconds(server.process) - before
        let elapsed = (ContinuousClock.now - start).milliseconds / 1000
        let kilobytes = processes(groups).reduce(0) { $0 + proportionalKilobytes($1) }
        return IdleCost(
            cpuPercent: 100 * used / elapsed, megabytesEach: Double(kilobytes) / 1024 / Double(max(1, members)))
    }

    /// The folders of the product's control groups: of the one server that runs.
    private static func cgroups() throws -> [String] {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu,cpuacct"]
        let found = roots.flatMap { root in
            ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).filter { $0.hasPrefix("computesdk-") }
                .map { "\(root)/\($0)" }
        }
        guard !found.isEmpty else { throw Server.Failure("there are no control groups of the product") }
        return found
    }

    private static func cpuSeconds(_ groups: [String]) -> Double {
        var nanoseconds = 0.0
        for group in groups {
            if let text = try? String(contentsOfFile: "\(group)/cpuacct.usage", encoding: .utf8) {
                nanoseconds = max(nanoseconds, Double(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0)
            } else if let text = try? String(contentsOfFile: "\(group)/cpu.stat", encoding: .utf8),
                let line = text.split(separator: "\n").first(where: { $0.hasPrefix("usage_usec ") })
            {
                nanoseconds = max(nanoseconds, 1000 * (Double(line.dropFirst(11)) ?? 0))
            }
        }
        return nanoseconds / 1e9
    }

    private static func processSeconds(_ pid: Int32) -> Double {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return 0 }
        let fields = stat[end...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func processes(_ groups: [String]) -> Set<Int32> {
        var found: Set<Int32> = []
        for group in groups {
            let children = (try? FileManager.default.subpathsOfDirectory(atPath: group)) ?? []
            for path in children where path.hasSuffix("cgroup.procs") {
                let text = (try? String(contentsOfFile: "\(group)/\(path)", encoding: .utf8)) ?? ""
                found.formUnion(text.split(separator: "\n").compactMap { Int32($0) })
            }
        }
        return found
    }

    private static func proportionalKilobytes(_ pid: Int32) -> Int {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
        return line.flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") } ?? 0
    }
}
