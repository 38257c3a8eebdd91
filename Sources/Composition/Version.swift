/// The version of the whole product: services, Sidekick and images move together.
package enum Version {
    package static let current = "0.1.0"
}
