package import ComputeCore
import FoundationEssentials
import Glibc

// What single containers may reach, where that is less than all may. The rules are in the kernel; what they were made of
// lies beside the leases, so that the table can be written anew with all of them in it.
//
//   policies/<name>   written, not in force ──▶ rules ──▶ written, in force       none: `.open`
extension HostNetwork {
    /// - Returns: nil when a change was cut off, or nobody can read what is there.
    package func policy(of name: String) -> NetworkPolicy? {
        guard access(policyFile(of: name), F_OK) == 0 else { return .open }
        guard let record = record(of: name), record.isInForce else { return nil }
        return record.policy
    }

    /// Narrows what a container reaches, from when this returns on. What is open and not allowed any more ends with the
    /// next packet that the container sends.
    /// - Throws: `.notFound` for a container without an address.
    package func confine(_ name: String, to policy: NetworkPolicy) async throws(HostError) {
        try await inTurn { () async throws(HostError) in try await confineInTurn(name, to: policy) }
    }

    private func confineInTurn(_ name: String, to policy: NetworkPolicy) async throws(HostError) {
        guard let text = leases().first(where: { $0.name == name })?.address, let address = IPv4Network.address(text)
        else { throw HostError(.notFound, "\(name) has no address") }
        if self.policy(of: name) == policy { return }
        try write(PolicyRecord(policy: policy, isInForce: false), of: name)
        let confinement = Confinement(address: address, policy: policy)
        let change =
            policy.isOpen
            ? confinement.removal(table: table)
            : confinement.script(table: table, bridge: bridge, asksResolvers: settings.asksResolvers)
        try await run("nft", ["-f", "-"], input: change, "cannot change what \(name) may reach")
        try settle(name, policy)
    }

    /// Before its address may be another one's.
    func release(_ name: String) async throws(HostError) {
        // Nobody gives rules to one that is going; so most have nothing to wait for.
        guard access(policyFile(of: name), F_OK) == 0 else { return }
        try await inTurn { () async throws(HostError) in try await releaseInTurn(name) }
    }

    private func releaseInTurn(_ name: String) async throws(HostError) {
        let removals = leases().filter { $0.name == name }.compactMap { IPv4Network.address($0.address) }
            .map { Confinement(address: $0, policy: .open).removal(table: table) }
        if !removals.isEmpty {
            try await run("nft", ["-f", "-"], input: removals.joined(), "cannot remove the rules of \(name)")
        }
        unlink(policyFile(of: name))
    }

    // MARK: - All of them

    /// Of the containers that are there, what was ordered last.
    func confinements() -> [(name: String, confinement: Confinement)] {
        leases().compactMap { lease in
            guard let address = IPv4Network.address(lease.address), access(policyFile(of: lease.name), F_OK) == 0 else {
                return nil
            }
            // Of what cannot be read nobody knows how narrow it was.
            let policy = record(of: lease.name)?.policy ?? NetworkPolicy(internet: false)
            return (lease.name, Confinement(address: address, policy: policy))
        }
    }

    /// They are in the table by now.
    func settle(_ name: String, _ policy: NetworkPolicy) throws(HostError) {
        if policy.isOpen {
            unlink(policyFile(of: name))
        } else {
            try write(PolicyRecord(policy: policy, isInForce: true), of: name)
        }
    }

    // MARK: - Files

    var policyDirectory: String { "\(settings.stateDirectory)/policies" }

    /// Whose policies are there. A file that was not finished ends with `.new`.
    func policyNames() -> [String] { DirectoryListing.names(in: policyDirectory).filter { !$0.contains(".") } }

    private func policyFile(of name: String) -> String { "\(policyDirectory)/\(name)" }

    private struct PolicyRecord: Codable {
        var policy: NetworkPolicy
        var isInForce: Bool
    }

    private func record(of name: String) -> PolicyRecord? {
        SmallFile.read(policyFile(of: name)).flatMap {
            try? JSONDecoder().decode(PolicyRecord.self, from: Data($0.utf8))
        }
    }

    /// Not on disk when this returns: after a power cut the container it is about is gone as well.
    private func write(_ record: PolicyRecord, of name: String) throws(HostError) {
        let text: String
        do { text = String(decoding: try JSONEncoder().encode(record), as: UTF8.self) } catch {
            throw HostError(.failed, "cannot write down what \(name) may reach", cause: error)
        }
        try DirectoryListing.make(policyDirectory)
        try SmallFile.replace(policyFile(of: name), text, synced: false)
    }
}
