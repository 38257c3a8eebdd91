import ComputeCore

/// How they all are, for others.
extension ServerService {
    /// Ready: every server that starts by itself has its port.
    var readiness: Readiness {
        let records = list()
        let health = records.compactMap { $0.machine.health?.isHealthy }
        return Readiness(
            isReady: records.allSatisfy { !$0.definition.autostart || $0.machine.hasPort },
            isHealthy: health.allSatisfy { $0 }, members: ["servers": .array(records.map { .object($0.readiness) })])
    }

    var counts: [ServerMachine.Status: Int] {
        Dictionary(grouping: list().map(\.machine.status)) { $0 }.mapValues(\.count)
    }
}
