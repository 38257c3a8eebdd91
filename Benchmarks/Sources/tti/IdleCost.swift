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
        let processes = try processes(of: server)
        guard processes.count >= members else {
            throw Server.Failure("\(members) members have only \(processes.count) processes")
        }
        let start = ContinuousClock.now
        let before = processSeconds(server.process) + processes.reduce(0) { $0 + processSeconds($1) }
        try await Task.sleep(for: window)
        let used = processSeconds(server.process) + processes.reduce(0) { $0 + processSeconds($1) } - before
        let elapsed = (ContinuousClock.now - start).milliseconds / 1000
        let kilobytes = processes.reduce(0) { $0 + proportionalKilobytes($1) }
        return IdleCost(
            cpuPercent: 100 * used / elapsed, megabytesEach: Double(kilobytes) / 1024 / Double(max(1, members)))
    }

    /// All in the control groups that are named like this server's members, in whichever hierarchy they are.
    private static func processes(of server: Server) throws -> Set<Int32> {
        let files = FileManager.default
        let members = try files.contentsOfDirectory(atPath: "\(server.dataDirectory)/members")
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/memory"]
        var found: Set<Int32> = []
        for root in roots {
            for tree in (try? files.contentsOfDirectory(atPath: root)) ?? [] where tree.hasPrefix("computesdk-") {
                for member in members {
                    let path = "\(root)/\(tree)/\(member)/cgroup.procs"
                    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
                    found.formUnion(text.split(separator: "\n").compactMap { Int32($0) })
                }
            }
        }
        return found
    }

    private static func processSeconds(_ pid: Int32) -> Double {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return 0 }
        let fields = stat[end...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func proportionalKilobytes(_ pid: Int32) -> Int {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
        return line.flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") } ?? 0
    }
}
