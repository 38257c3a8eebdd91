import CoreMetrics
import PrometheusMetrics
import Testing

struct MetricsRegistryTests {
    private let registry = MetricsRegistry(helps: ["jobs_total": "Jobs that were done.", "open": "A \\ and\nan end."])

    @Test func whatIsCountedIsWrittenWithItsDimensionsInOrder() {
        let failed = registry.makeCounter(label: "jobs_total", dimensions: [("outcome", "failed"), ("kind", "a")])
        failed.increment(by: 2)
        registry.makeCounter(label: "jobs_total", dimensions: [("kind", "a"), ("outcome", "failed")]).increment(by: 1)
        registry.makeCounter(label: "jobs_total", dimensions: [("kind", "a"), ("outcome", "done")]).increment(by: 5)
        #expect(
            registry.text == """
                # HELP jobs_total Jobs that were done.
                # TYPE jobs_total counter
                jobs_total{kind="a",outcome="done"} 5
                jobs_total{kind="a",outcome="failed"} 3

                """)
    }

    @Test func aCounterNeverGoesDown() {
        let counter = registry.makeCounter(label: "jobs_total", dimensions: [])
        counter.increment(by: 3)
        counter.increment(by: -2)
        #expect(registry.text.contains("\njobs_total 3\n"))
    }

    @Test func aTimerIsAHistogramInSeconds() {
        let timer = registry.makeTimer(label: "wait_seconds", dimensions: [("to", "b")])
        for nanoseconds in [1_000_000, 4_000_000, 60_000_000_000] as [Int64] { timer.recordNanoseconds(nanoseconds) }
        let lines = registry.text.split(separator: "\n")
        #expect(lines.contains(#"wait_seconds_bucket{to="b",le="0.001"} 1"#))
        #expect(lines.contains(#"wait_seconds_bucket{to="b",le="0.0025"} 1"#))
        #expect(lines.contains(#"wait_seconds_bucket{to="b",le="0.005"} 2"#))
        #expect(lines.contains(#"wait_seconds_bucket{to="b",le="30"} 2"#))
        #expect(lines.contains(#"wait_seconds_bucket{to="b",le="+Inf"} 3"#))
        #expect(lines.contains(#"wait_seconds_sum{to="b"} 60.005"#))
        #expect(lines.contains(#"wait_seconds_count{to="b"} 3"#))
        #expect(lines.contains("# TYPE wait_seconds histogram"))
    }

    @Test func gaugesGoUpAndDownAndSomeAreLookedAtWhenAsked() {
        let meter = registry.makeMeter(label: "open", dimensions: [])
        meter.increment(by: 2)
        meter.decrement(by: 0.5)
        registry.gauge("idle") { 7 }
        #expect(
            registry.text == """
                # HELP idle Of a library.
                # TYPE idle gauge
                idle 7
                # HELP open A \\\\ and\\nan end.
                # TYPE open gauge
                open 1.5

                """)
    }

    /// A path that somebody made up must not make lines of its own.
    @Test func valuesAndNamesCannotBreakOut() {
        registry.makeCounter(label: "1 bad-name", dimensions: [("a b", "x\"} 1\ny \\")]).increment(by: 1)
        #expect(registry.text.hasSuffix("\n_1_bad_name{a_b=\"x\\\"} 1\\ny \\\\\"} 1\n"))
    }

    @Test func aNameHasOneKind() {
        registry.makeCounter(label: "jobs_total", dimensions: []).increment(by: 1)
        registry.makeMeter(label: "jobs_total", dimensions: []).set(Int64(9))
        #expect(registry.text.contains("\njobs_total 1\n") && !registry.text.contains("9"))
    }
}
