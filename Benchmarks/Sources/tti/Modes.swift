/// How the hundred are started.
enum Mode: Sendable {
    /// One after another.
    case sequential
    /// One every so often, whether the ones before have ended or not.
    case staggered(Duration)
    /// All at once.
    case burst

    var name: String {
        switch self {
        case .sequential: "sequential"
        case .staggered: "staggered"
        case .burst: "burst"
        }
    }
}

/// One series: create → first command answered, each in a fresh compute.
struct Series: Sendable {
    var statistics: Statistics
    /// Mean milliseconds per stage of the create, and `command` for everything after its answer.
    var stages: [String: Double]
    var failures: [String]
}

extension Server {
    private struct Sample: Sendable {
        var milliseconds: Double
        var create: Double
        var compute: Compute
    }

    /// - Parameter idleBefore: sequential only: each waits, outside its window, until so many members are idle.
    func measure(_ mode: Mode, count: Int, command: String, expecting: String?, idleBefore: Int = 0) async throws
        -> Series
    {
        let began = ContinuousClock.now
        var results: [Result<Sample, Failure>] = []
        var wall = 0.0
        switch mode {
        case .sequential:
            for _ in 0..<count {
                try await waitForIdle(idleBefore)
                let result = await sample(command, expecting)
                if case .success(let sample) = result {
                    wall += sample.milliseconds
                    try? await destroy(sample.compute)
                }
                results.append(result)
            }
        case .staggered, .burst:
            results = await withTaskGroup(of: Result<Sample, Failure>.self) { group in
                for index in 0..<count {
                    group.addTask {
                        if case .staggered(let gap) = mode {
                            try? await Task.sleep(until: began + gap * index, clock: .continuous)
                        }
                        return await self.sample(command, expecting)
                    }
                }
                var results: [Result<Sample, Failure>] = []
                for await result in group { results.append(result) }
                return results
            }
            wall = (ContinuousClock.now - began).milliseconds
            await destroyAll(results.compactMap { try? $0.get().compute })
        }
        let samples = results.compactMap { try? $0.get() }
        var stages: [String: [Double]] = [:]
        for sample in samples {
            for (name, value) in sample.compute.stages { stages[name, default: []].append(value) }
            stages["create (client)", default: []].append(sample.create)
            stages["command (client)", default: []].append(sample.milliseconds - sample.create)
        }
        return Series(
            statistics: Statistics(samples.map(\.milliseconds), attempted: count, wall: wall),
            stages: stages.mapValues { Statistics($0, attempted: $0.count, wall: 0).median },
            failures: results.compactMap { if case .failure(let error) = $0 { error.description } else { nil } })
    }

    private func sample(_ command: String, _ expecting: String?) async -> Result<Sample, Failure> {
        let start = ContinuousClock.now
        do {
            let compute = try await create()
            let created = ContinuousClock.now
            let output = try await run(command, in: compute)
            let end = ContinuousClock.now
            if let expecting, output != expecting { return .failure(Failure("\(command) printed \(output)")) }
            return .success(
                Sample(
                    milliseconds: (end - start).milliseconds, create: (created - start).milliseconds, compute: compute))
        } catch {
            return .failure(error as? Failure ?? Failure("\(error)"))
        }
    }

    func destroyAll(_ computes: [Compute]) async {
        await withTaskGroup(of: Void.self) { group in
            for (index, compute) in computes.enumerated() {
                if index >= 8 { await group.next() }
                group.addTask { try? await self.destroy(compute) }
            }
        }
    }
}

extension Duration {
    var milliseconds: Double {
        Double(components.seconds) * 1000 + Double(components.attoseconds) / 1e15
    }
}
