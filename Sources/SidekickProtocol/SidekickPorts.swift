/// Where a Sidekick listens in a compute with an address of its own. Neither is a port of the compute that could be shown.
package enum SidekickPorts {
    /// What users ask of it, through the Gateway.
    package static let requests = 18080
    /// What the API asks of it: the claim.
    package static let claims = 18081
}
