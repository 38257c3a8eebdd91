package import ComputeCore
import ComputeDomain
import ComputeRuntime
import EventSourcing
import Logging
import ServiceLifecycle
import SidekickProtocol
import Synchronization

/// Repairs what a crash left, at the start and every few seconds. See `SweepPlan` for what it decides.
package final class Sweep: Service {
    let service: ComputeService
    let startedAt: WallTime
    private let firstSeen = Mutex<[MemberName: WallTime]>([:])
    private let diskFirstSeen = Mutex<[ComputeID: WallTime]>([:])

    /// - Parameter startedAt: when this process began; requests from before it are nobody's any more.
    package init(service: ComputeService, startedAt: WallTime) {
        self.service = service
        self.startedAt = startedAt
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.step()
                try? await Task.sleep(for: self.service.settings.sweepInterval)
            }
        }
    }

    /// One look, and what follows from it.
    package func step() async {
        do {
            let ports = service.ports
            // In this order: see `Sight`.
            let inFlight = service.createsInFlight
            let records = try await records()
            let places = try await ports.runtime.places()
            let recorded = Set(records.compactMap(\.member))
            var sight = SweepPlan.Sight(
                records: records, places: places, createsInFlight: inFlight.union(service.createsInFlight),
                now: ports.clock.now())
            sight.unclaimed = await unclaimed(places.filter { !recorded.contains($0.member.name) })
            sight.firstSeen = firstSeen.withLock { $0 }
            if ports.runtime.abilities.contains(.keepDisk) { sight.disks = try await ports.runtime.keptDisks() }
            sight.diskFirstSeen = diskFirstSeen.withLock { $0 }
            let plan = SweepPlan(sight, startedAt: startedAt, grace: service.settings.sweepGrace)
            let now = sight.now
            firstSeen.withLock { seen in
                seen = Dictionary(uniqueKeysWithValues: plan.suspects.map { ($0, seen[$0] ?? now) })
            }
            diskFirstSeen.withLock { seen in
                seen = Dictionary(uniqueKeysWithValues: plan.suspectDisks.map { ($0, seen[$0] ?? now) })
            }
            for action in plan.actions { await perform(action) }
            try await service.filesystems.removeDeleted()
        } catch {
            service.logger.failure("the sweep cannot look", error)
        }
    }

    private func records() async throws -> [ComputeSummary] {
        var records: [ComputeSummary] = []
        while true {
            let page = try await service.ports.summaries.unended(after: records.last?.id, limit: 500)
            records += page
            if page.count < 500 { return records }
        }
    }

    /// Asks the Sidekicks of leftovers, a few at a time: after a crash there may be hundreds of them.
    private func unclaimed(_ places: [Place]) async -> Set<MemberName> {
        let sidekicks = service.ports.sidekicks
        return await withTaskGroup(of: MemberName?.self) { group in
            var names: Set<MemberName> = []
            var running = 0
            for place in places where place.isAlive && place.standing == .leftover {
                if running == 8, let answer = await group.next() {
                    running -= 1
                    if let answer { names.insert(answer) }
                }
                running += 1
                group.addTask {
                    // Who does not answer may have been claimed.
                    guard let state = try? await sidekicks.state(at: place.member.sidekickInternal),
                        state.member == place.member.name, state.computeId == nil
                    else { return nil }
                    return place.member.name
                }
            }
            for await answer in group { if let answer { names.insert(answer) } }
            return names
        }
    }

    private func perform(_ action: SweepPlan.Action) async {
        switch action {
        case .remove(let member):
            service.logger.warning("removing a place that is nobody's", metadata: ["member": "\(member)"])
            await service.remove(member)
        case .settle(let id):
            do throws(Problem) {
                try await service.settle(id)
            } catch {
                // Looked at again in a few seconds.
                service.logger.failure(
                    "the sweep could not make a place as its record says", error, ["compute.id": "\(id)"])
            }
        case .removeDisk(let id):
            service.logger.warning("removing a disk that is nobody's", metadata: ["compute.id": "\(id)"])
            await service.removeDisk(of: id)
        case .end(let id, let group, let reason):
            do throws(Problem) {
                _ = try await service.end(id, in: group, reason, metadata: .system)
            } catch {
                service.logger.failure("the sweep could not end a sandbox", error, ["compute.id": "\(id)"])
            }
        }
    }
}
