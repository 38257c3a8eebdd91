import ComputeCore
import Synchronization

/// Tells whoever subscribes to `signals` what happens to the ports and servers of the compute (contract §1.9).
///
/// While it is stopped nothing is told, also nothing that a client emits.
final class SignalService: Sendable {
    static let channel = "signals"

    enum PortChange: String, Sendable { case open, close }

    private struct State {
        var isActive = false
        var changes = PortChanges()
        /// How the compute's ports are seen from outside.
        var compute: ComputeContext?
    }

    private let broker: EventBroker
    private let monitor: PortMonitor
    private let state = Mutex(State())

    init(broker: EventBroker, monitor: PortMonitor) {
        self.broker = broker
        self.monitor = monitor
        broker.open(Self.channel)
        monitor.observe { [weak self] in self?.observed($0) ?? .none }
    }

    var isActive: Bool { state.withLock { $0.isActive } }

    /// Ports that are listened on already are told of as opened, soon after.
    func start(in compute: ComputeContext) {
        state.withLock { state in
            if !state.isActive { state.changes = PortChanges() }
            state.isActive = true
            state.compute = compute
        }
        monitor.wake()
    }

    func stop() { state.withLock { $0.isActive = false } }

    func emitPort(_ port: Int, _ change: PortChange, url: String?) {
        var fields: [String: JSONValue] = ["port": .int(Int64(port)), "type": .string(change.rawValue)]
        fields["url"] = url.map(JSONValue.string)
        emit("port", fields)
    }

    func emitReady(port: Int, url: String?) {
        var fields: [String: JSONValue] = ["port": .int(Int64(port)), "type": .string("open")]
        fields["url"] = url.map(JSONValue.string)
        emit("server-ready", fields)
    }

    func emitError(_ message: String) { emit("error", ["message": .string(message)]) }

    private func emit(_ signal: String, _ fields: [String: JSONValue]) {
        guard isActive else { return }
        let fields = fields.merging(["signal": .string(signal)]) { given, _ in given }
        // Whoever does not read them for so long that they fill his queue loses some, not his connection.
        broker.publish(SocketEvent("signal", channel: Self.channel, fields), isDroppable: true)
    }

    private func observed(_ listeners: [PortListener]) -> PortMonitor.Demand {
        let (changes, compute) = state.withLock { state -> ([PortChanges.Change], ComputeContext?) in
            guard state.isActive else { return ([], nil) }
            return (state.changes.observed(Set(listeners.map(\.port))), state.compute)
        }
        guard let compute else { return .none }
        for change in changes {
            switch change {
            case .opened(let port): emitPort(port, .open, url: compute.portURL(port))
            case .closed(let port): emitPort(port, .close, url: compute.portURL(port))
            }
        }
        return .prompt
    }
}
