/// What the health checks of a run have said.
package struct ServerHealth: Hashable, Sendable {
    /// nil: too early to say.
    package private(set) var isHealthy: Bool?
    /// Of HTTP; 0: no answer.
    package private(set) var lastStatus = 0
    package private(set) var consecutiveFailures = 0

    package init() {}

    package mutating func probed(_ status: Int) {
        lastStatus = status
        guard !(200..<400).contains(status) else {
            isHealthy = true
            consecutiveFailures = 0
            return
        }
        consecutiveFailures += 1
        if consecutiveFailures >= ServerMachine.unhealthyAfter { isHealthy = false }
    }
}
