import ComputeCore
import ComputeDomain
package import EventSourcing
import Logging
import SecretSealing
import ServiceLifecycle

/// Brings every secret under the current master key, once after a start: to rotate, put a new key first and start again.
/// When it has said that it is done, the other keys are not needed any more.
package struct SecretRewrapping: Service {
    let service: SecretService
    private static let batch = 100

    package init(service: SecretService) { self.service = service }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var pause = Duration.seconds(1)
            while !Task.isCancelled, await !attempt() {
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(60))
            }
        }
        // A service that returns ends the others as well.
        try? await gracefulShutdown()
    }

    private func attempt() async -> Bool {
        do {
            let (rewrapped, unreadable) = try await pass()
            if rewrapped > 0 || unreadable > 0 {
                service.logger.notice(
                    "secrets are under the current master key",
                    metadata: ["rewrapped": "\(rewrapped)", "unreadable": "\(unreadable)"])
            }
            return true
        } catch {
            service.logger.failure("secrets could not be rewrapped; trying again", error)
            return false
        }
    }

    /// - Returns: how many were brought under the current key, and how many no key opens.
    package func pass() async throws(EventStoreError) -> (rewrapped: Int, unreadable: Int) {
        let ports = service.ports
        let keys = ports.secrets.masterKeys
        var (rewrapped, unreadable, place) = (0, 0, SecretValueRow.Key?.none)
        while !Task.isCancelled {
            let rows = try await ports.secrets.records.secretValues(
                notUnder: keys.current.rawValue, after: place, limit: Self.batch)
            guard let last = rows.last else { break }
            place = last.key
            var commit = Commit(appends: [], metadata: .system, occurredAt: ports.clock.now())
            for row in rows {
                guard let sealed = row.sealed, let renewed = try? keys.rewrap(sealed, at: row.key.place) else {
                    unreadable += 1
                    service.logger.error(
                        "no master key opens a secret",
                        metadata: [
                            "group": "\(row.key.group)", "secret": "\(row.key.name)", "master-key": "\(row.masterKey)",
                        ])
                    continue
                }
                commit.secretValues.append(.rewrap(SecretValueRow(row.key, renewed), from: row.masterKey))
            }
            guard !commit.secretValues.isEmpty else { continue }
            _ = try await ports.store.commit(commit)
            rewrapped += commit.secretValues.count
        }
        return (rewrapped, unreadable)
    }
}
