import CoreMetrics
import Synchronization

enum SeriesKind: String { case counter, gauge, histogram }

/// One line of a metric, or the few lines of one histogram.
protocol Series: AnyObject, Sendable {
    static var kind: SeriesKind { get }
    /// - Parameter labels: as in braces, without them.
    func lines(_ name: String, labels: String) -> String
}

final class CounterSeries: Series, CounterHandler {
    static let kind = SeriesKind.counter
    private let count = Atomic<Int64>(0)

    func increment(by amount: Int64) { count.wrappingAdd(max(0, amount), ordering: .relaxed) }
    func reset() { count.store(0, ordering: .relaxed) }

    func lines(_ name: String, labels: String) -> String {
        MetricsText.line(name, labels, String(count.load(ordering: .relaxed)))
    }
}

final class GaugeSeries: Series, MeterHandler, RecorderHandler {
    static let kind = SeriesKind.gauge
    private let value = Mutex(0.0)

    func set(_ value: Int64) { self.value.withLock { $0 = Double(value) } }
    func set(_ value: Double) { self.value.withLock { $0 = value } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }

    func lines(_ name: String, labels: String) -> String {
        MetricsText.line(name, labels, MetricsText.number(value.withLock { $0 }))
    }
}

final class HistogramSeries: Series, TimerHandler {
    static let kind = SeriesKind.histogram
    /// Upper ends in seconds: from what is instant to what a client gives up on.
    static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

    private struct State {
        var counts = [Int](repeating: 0, count: bounds.count)
        var all = 0
        var sum = 0.0
    }
    private let state = Mutex(State())

    func recordNanoseconds(_ duration: Int64) {
        let seconds = Double(duration) / 1e9
        let index = Self.bounds.firstIndex { seconds <= $0 }
        state.withLock {
            if let index { $0.counts[index] += 1 }
            $0.all += 1
            $0.sum += seconds
        }
    }

    func lines(_ name: String, labels: String) -> String {
        let state = state.withLock { $0 }
        let front = labels.isEmpty ? "" : labels + ","
        var (text, sum) = ("", 0)
        for (bound, count) in zip(Self.bounds, state.counts) {
            sum += count
            text += MetricsText.line(
                name + "_bucket", "\(front)le=\"\(MetricsText.number(bound))\"", String(sum))
        }
        return text + MetricsText.line(name + "_bucket", "\(front)le=\"+Inf\"", String(state.all))
            + MetricsText.line(name + "_sum", labels, MetricsText.number(state.sum))
            + MetricsText.line(name + "_count", labels, String(state.all))
    }
}
