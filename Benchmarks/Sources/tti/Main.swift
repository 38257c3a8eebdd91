import Foundation

/// `tti`: time to interactive, from a create to the answer of the first command, beside what nothing of ours could beat.
///
///     tti --binaries .build/release --images FOLDER [--runsc PATH] [--count 100] [--json FILE] [--only PART,…]
@main struct Main {
    static func main() async throws {
        Statistics.selfTest()
        let options = try Options(Array(CommandLine.arguments.dropFirst()))
        var report = Report()
        print(Report.header)
        if options.wants("warm") { try await warm(options, &report) }
        if options.wants("burst") { try await burst(options, &report) }
        if options.wants("cold") { try await cold(options, &report) }
        if options.wants("sidekick") { try await sidekick(options, &report) }
        print(report.table)
        if let path = options.json { try report.json.write(to: URL(fileURLWithPath: path)) }
    }

    static let commands = [("echo bench", "bench\n"), ("node -v", nil)]

    /// One after another from a pool that is full each time: our own share is what is above the floor.
    private static func warm(_ options: Options, _ report: inout Report) async throws {
        let parts = try await Server.run(pool: 4, options.server) { server in
            var parts: [(String, Series, Statistics)] = []
            for (command, output) in commands {
                // In turn, so that a slow minute of the machine hits both.
                let floorBefore = try await Floor.sequential(
                    server, command: command, count: options.count, idle: 4)
                let series = try await server.measure(
                    .sequential, count: options.count, command: command, expecting: output, idleBefore: 4)
                parts.append((command, series, floorBefore))
            }
            return parts
        }
        for (command, series, floor) in parts {
            report.add("\(command) · sequential, warm", series)
            report.add("\(command) · floor", floor)
            guard command == commands[0].0 else { continue }
            report.check(
                "echo warm sequential over the floor, median", series.statistics.median - floor.median, atMost: 6, "ms")
            report.check(
                "echo warm sequential over the floor, p99", series.statistics.p99 - floor.p99, atMost: 25, "ms")
            let thawAndClaim = (series.stages["take"] ?? .infinity) + (series.stages["claim"] ?? .infinity)
            report.check("thaw + claim", thawAndClaim, atMost: 5, "ms")
        }
    }

    private static func burst(_ options: Options, _ report: inout Report) async throws {
        let count = options.count
        for (command, output) in commands {
            let (floor, series, staggered, idle) = try await Server.run(pool: count, options.server) { server in
                let idle = try await IdleCost.measure(server, members: count, over: .seconds(15))
                let floor = try await Floor.burst(server, command: command, count: count)
                try await server.waitForIdle(count)
                let series = try await server.measure(.burst, count: count, command: command, expecting: output)
                try await server.waitForIdle(count)
                let staggered = try await server.measure(
                    .staggered(.milliseconds(200)), count: count, command: command, expecting: output)
                return (floor, series, staggered, idle)
            }
            report.add("\(command) · burst of \(count), \(count) pooled", series)
            report.add("\(command) · burst of \(count), floor", floor)
            report.add("\(command) · staggered 200 ms, \(count) pooled", staggered)
            guard command == commands[0].0 else { continue }
            report.check(
                "burst of \(count) with \(count) pooled: wall over the floor's", series.statistics.wall / floor.wall,
                atMost: 1.5,
                "×")
            report.check(
                "burst with all pooled: failures", Double(count - series.statistics.succeeded), atMost: 0, "")
            report.check("idle pool of \(count): CPU", idle.cpuPercent, atMost: 2, "%")
            report.check("idle pool of \(count): memory each", idle.megabytesEach, atMost: 20, "MiB")
        }
        let (command, output) = commands[0]
        let pooled = max(1, count / 10)
        let mixed = try await Server.run(pool: pooled, options.server) { server in
            try await server.measure(.burst, count: count, command: command, expecting: output)
        }
        let coldAlone = try await Server.run(pool: 0, options.server) { server in
            try await server.measure(.burst, count: count - pooled, command: command, expecting: output)
        }
        report.add("\(command) · burst of \(count), \(pooled) pooled", mixed)
        report.add("\(command) · burst of \(count - pooled), none pooled", coldAlone)
        report.check(
            "burst of \(count) with \(pooled) pooled: wall over the cold work's",
            mixed.statistics.wall / coldAlone.statistics.wall, atMost: 1.2, "×")
        report.check(
            "burst with \(pooled) pooled: failures", Double(count - mixed.statistics.succeeded), atMost: 0, "")
    }

    private static func cold(_ options: Options, _ report: inout Report) async throws {
        let count = max(10, options.count / 5)
        let (command, output) = commands[0]
        let (series, platform) = try await Server.run(pool: 0, options.server) { server in
            let series = try await server.measure(.sequential, count: count, command: command, expecting: output)
            return (series, try await server.platform())
        }
        let bare = try BareRunsc(
            executable: options.server.runsc ?? "/usr/bin/runsc", platform: platform,
            images: options.server.imageDirectory)
        let floor = try await bare.firstLine(of: ["/bin/sh", "-c", command], count: count)
        report.facts["platform"] = bare.platform
        report.add("\(command) · sequential, cold", series)
        report.add("\(command) · bare runsc run", floor)
        report.check("cold over bare runsc run", series.statistics.median / floor.median, atMost: 1.3, "×")
    }

    private static func sidekick(_ options: Options, _ report: inout Report) async throws {
        let figures = try await SidekickFigures.measure("\(options.binaries)/sidekick")
        report.check("Sidekick, stripped", figures.strippedMegabytes, atMost: 22, "MB")
        report.check("Sidekick, exec to listening", figures.millisecondsToListen, atMost: 20, "ms")
        report.check("Sidekick, resident when idle", figures.idleMegabytes, atMost: 10, "MiB")
    }
}

struct Options: Sendable {
    var binaries = ".build/release"
    var count = 100
    var json: String?
    var only: Set<String> = []
    var server = Server.Options(binary: "", imageDirectory: "")

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let flag = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Server.Failure("\(flag) needs a value") }
            switch flag {
            case "--binaries": binaries = value
            case "--images": server.imageDirectory = value
            case "--runsc": server.runsc = value
            case "--count": count = Int(value) ?? 0
            case "--json": json = value
            case "--only": only = Set(value.split(separator: ",").map(String.init))
            default: throw Server.Failure("unknown option \(flag)")
            }
        }
        guard count > 0, !server.imageDirectory.isEmpty else {
            throw Server.Failure("--images FOLDER is needed, and --count above 0")
        }
        server.binary = "\(binaries)/computesdk"
    }

    func wants(_ part: String) -> Bool { only.isEmpty || only.contains(part) }
}
