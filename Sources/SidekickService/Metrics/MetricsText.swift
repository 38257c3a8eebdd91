import Glibc
import LinuxSystem

/// `GET /metrics` on the internal listener, in the text format of Prometheus: the Sidekick itself, for the platform.
/// No label holds an id.
struct MetricsText: Sendable {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    private static let prefix = "computesdk_sidekick_"

    let counters: RequestCounters
    let broker: EventBroker
    let reaper: Reaper
    let servers: ServerService
    let commands: CommandService
    let registry: CommandRegistry
    let terminals: TerminalService

    func text() -> String {
        var text = ""
        func write(_ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: Int)]) {
            guard !samples.isEmpty else { return }
            text += "# HELP \(Self.prefix)\(name) \(help)\n# TYPE \(Self.prefix)\(name) \(type)\n"
            for sample in samples { text += "\(Self.prefix)\(name)\(sample.labels) \(sample.value)\n" }
        }
        func gauge(_ name: String, _ help: String, _ value: Int?) {
            write(name, "gauge", help, value.map { [("", $0)] } ?? [])
        }
        let pages = Descendants.ProcessLine(of: getpid())?.residentPages
        gauge("resident_memory_bytes", "Memory of the Sidekick.", pages.map { $0 * KernelFigures.pageSize })
        let figures = broker.figures
        gauge("open_sockets", "WebSockets that are open.", figures.connections)
        gauge("terminals", "Terminals that run.", terminals.list().count)
        gauge("running_commands", "Commands that run.", commands.runningCount + registry.runningCount)
        gauge("child_processes", "Processes that the Sidekick has started and that run.", reaper.count)
        let counts = servers.counts
        write(
            "servers", "gauge", "Supervised servers by status.",
            ServerMachine.Status.allCases.map { ("{status=\"\($0.rawValue)\"}", counts[$0] ?? 0) })
        write(
            "dropped_output_bytes_total", "counter", "Output that WebSockets were too slow for.",
            [("", figures.droppedBytes)])
        write(
            "http_requests_total", "counter", "Answered requests by class of status.",
            counters.classes.map { ("{class=\"\($0.name)\"}", $0.count) })
        return text
    }
}
