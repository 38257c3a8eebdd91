import Foundation
import Glibc

/// The event store over both databases, beside what does one of its jobs without it.
///
///     store-bench [commits] [growth] [--seconds N] [--events N]
@main
struct StoreBenchmark {
    static func main() async throws {
        var arguments = CommandLine.arguments.dropFirst()
        func number(_ name: String, _ absent: Int) -> Int {
            guard let index = arguments.firstIndex(of: name), index + 1 < arguments.endIndex else { return absent }
            let value = Int(arguments[index + 1])
            arguments.removeSubrange(index...index + 1)
            guard let value, value > 0 else { fatalError("\(name) takes a number above 0") }
            return value
        }
        let seconds = number("--seconds", 5)
        let events = number("--events", 1_000_000)
        let disciplines = arguments.isEmpty ? ["commits", "growth"] : Array(arguments)
        for discipline in disciplines {
            switch discipline {
            case "commits":
                try await PostgresCommits(seconds: seconds).run()
                try await SQLiteCommits(seconds: seconds).run()
            case "growth": try await Growth(events: events, seconds: min(seconds, 3)).run()
            default: fatalError("there is no \(discipline): commits, growth")
            }
        }
    }
}

/// Line by line, also into a pipe: it takes a while.
func say(_ line: String) {
    print(line)
    fflush(nil)
}

struct BenchmarkFailure: Error {
    var description: String
}

/// How often a second `work` was done by so many at once.
func rate(_ workers: Int, seconds: Int, _ work: @escaping @Sendable () async throws -> Void) async throws -> Double {
    let (start, time) = (ContinuousClock.now, Duration.seconds(seconds))
    let done = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<workers {
            group.addTask {
                var done = 0
                while ContinuousClock.now - start < time {
                    try await work()
                    done += 1
                }
                return done
            }
        }
        return try await group.reduce(0, +)
    }
    return Double(done) / ((ContinuousClock.now - start) / .seconds(1))
}

/// The middle one of some rounds, by what is asked of each: neighbours of a machine come and go.
func middle<Turn>(of rounds: Int, by value: (Turn) -> Double, _ turn: () async throws -> Turn) async throws -> Turn {
    var turns: [Turn] = []
    for _ in 0..<rounds { turns.append(try await turn()) }
    return turns.sorted { value($0) < value($1) }[rounds / 2]
}

/// A folder of this run's own, gone behind it.
func withFolder<T>(_ run: (String) async throws -> T) async throws -> T {
    // Beside what is measured otherwise: a temporary folder may be memory.
    let folder = FileManager.default.currentDirectoryPath + "/.build/bench/store-\(getpid())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await run(folder)
}
