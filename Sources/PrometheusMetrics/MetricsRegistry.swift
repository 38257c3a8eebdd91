package import CoreMetrics
import Synchronization

/// What swift-metrics is told in this process, kept in memory and written in the text format of Prometheus.
///
/// A counter stays one, a meter or recorder becomes a gauge, and a timer a histogram in seconds. Every combination of
/// dimensions is kept for good: dimensions are for closed sets such as routes, never for ids.
package final class MetricsRegistry: Sendable {
    private struct Family {
        var kind: SeriesKind
        var series: [String: any Series] = [:]
    }

    private let helps: [String: String]
    private let families = Mutex<[String: Family]>([:])
    private let gauges = Mutex<[String: @Sendable () -> Double]>([:])

    /// - Parameter helps: what each metric is, by name.
    package init(helps: [String: String]) { self.helps = helps }

    /// A gauge that is looked at when somebody asks.
    package func gauge(_ name: String, _ value: @escaping @Sendable () -> Double) {
        gauges.withLock { $0[name] = value }
    }

    /// The whole text, sorted by name.
    package var text: String {
        var parts = families.withLock { families in
            families.map { name, family in (name, family.kind, family.series.map { ($0.key, $0.value) }) }
        }.map { name, kind, series in
            (
                name,
                header(name, kind)
                    + series.sorted { $0.0 < $1.0 }.map { $1.lines(name, labels: $0) }.joined()
            )
        }
        for (name, value) in gauges.withLock({ $0 }) {
            parts.append((name, header(name, .gauge) + "\(name) \(MetricsText.number(value()))\n"))
        }
        return parts.sorted { $0.0 < $1.0 }.map(\.1).joined()
    }

    private func header(_ name: String, _ kind: SeriesKind) -> String {
        "# HELP \(name) \(MetricsText.help(helps[name] ?? "Of a library."))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// The series of that name and those dimensions. Of a name that is of another kind already one that nobody sees.
    private func series<S: Series>(_ label: String, _ dimensions: [(String, String)], _ fresh: S) -> S {
        let (name, labels) = (MetricsText.name(label), MetricsText.labels(dimensions))
        return families.withLock { families in
            var family = families.removeValue(forKey: name) ?? Family(kind: S.kind)
            defer { families[name] = family }
            guard family.kind == S.kind else { return fresh }
            if let known = family.series[labels] as? S { return known }
            family.series[labels] = fresh
            return fresh
        }
    }
}

extension MetricsRegistry: MetricsFactory {
    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, CounterSeries())
    }
    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, GaugeSeries())
    }
    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        series(label, dimensions, GaugeSeries())
    }
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, HistogramSeries())
    }

    // Prometheus wants to see a series for as long as the process lives.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}
