import Foundation

/// What no layer of ours can beat: the same command by posix_spawn inside computes that are claimed already.
enum Floor {
    /// Runs in a compute: waits until a common moment, then starts the command `count` times and prints the start and end
    /// of each, in seconds since 1970. By the shell that a command without one gets, so that it is the same command.
    static let script = """
        import os, sys, time
        shell = os.environ["SHELL"]
        at, count, command = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        while time.time() < at: time.sleep(max(0.0, min(0.2, at - time.time())))
        for _ in range(count):
            start = time.time()
            out, into = os.pipe()
            pid = os.posix_spawn(shell, [shell, "-c", command], os.environ,
                                 file_actions=[(os.POSIX_SPAWN_DUP2, into, 1), (os.POSIX_SPAWN_CLOSE, out)])
            os.close(into)
            while os.read(out, 65536): pass
            os.waitpid(pid, 0)
            os.close(out)
            print(start, time.time())
        """

    /// - Parameter idle: how many members the pool has when nothing is under way: their starts must not slow it down.
    static func sequential(_ server: Server, command: String, count: Int, idle: Int) async throws -> Statistics {
        let compute = try await server.create()
        try await server.waitForIdle(idle)
        let spans = try await spans(server, compute, at: 0, count: count, command: command)
        try await server.destroy(compute)
        return Statistics(spans.map { ($0.1 - $0.0) * 1000 }, attempted: count, wall: 0)
    }

    /// One command in each of `count` computes at one moment.
    static func burst(_ server: Server, command: String, count: Int) async throws -> Statistics {
        let computes = try await withThrowingTaskGroup(of: Server.Compute.self) { group in
            for _ in 0..<count { group.addTask { try await server.create() } }
            var computes: [Server.Compute] = []
            for try await compute in group { computes.append(compute) }
            return computes
        }
        // Python has started everywhere by then, and waits.
        let at = Date().timeIntervalSince1970 + 5 + Double(count) * 0.25
        let all = try await withThrowingTaskGroup(of: [(Double, Double)].self) { group in
            for compute in computes {
                group.addTask { try await spans(server, compute, at: at, count: 1, command: command) }
            }
            var all: [(Double, Double)] = []
            for try await spans in group { all += spans }
            return all
        }
        await server.destroyAll(computes)
        let wall = ((all.map(\.1).max() ?? at) - at) * 1000
        return Statistics(all.map { ($0.1 - at) * 1000 }, attempted: count, wall: wall)
    }

    private static func spans(
        _ server: Server, _ compute: Server.Compute, at: Double, count: Int, command: String
    ) async throws -> [(Double, Double)] {
        try await server.write(script, to: "/tmp/floor.py", in: compute)
        let output = try await server.run("python3 /tmp/floor.py \(at) \(count) '\(command)'", in: compute)
        return output.split(separator: "\n").compactMap { line in
            let numbers = line.split(separator: " ").compactMap { Double($0) }
            return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
        }
    }
}
