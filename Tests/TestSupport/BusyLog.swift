package import ComputeCore
import ComputeDomain
package import EventSourcing

/// A log with a bit of everything in it: computes in every state, sessions good and over, webhooks, secrets,
/// filesystems, templates, pools.
package enum BusyLog {
    private static let blocks = [try? IPBlock("203.0.113.0/24"), try? IPBlock("2001:db8::/32")].compactMap(\.self)

    /// - Returns: the time of the last event.
    @discardableResult
    package static func fill(_ store: any EventStore, computes: Int = 30) async throws -> WallTime {
        for n in 0..<computes {
            let id = ComputeID.random()
            let at = start + .seconds(n * 60)
            func commit(_ events: [ComputeEvent], _ before: Compute.State, _ version: Int, _ seconds: Int) async throws
            {
                _ = try await store.commit(
                    .compute(
                        id, in: n % 3 == 0 ? other : .default, expectedVersion: version, before: before, events: events,
                        metadata: EventMetadata(actor: "key:k", requestID: "r\(n)"), at: at + .seconds(seconds)))
            }
            var spec = ComputeSpec(
                name: n % 2 == 0 ? "n\(n)" : nil, timeout: .seconds(900),
                metadata: ["n": .int(Int64(n)), "team": .string("t\(n % 3)"), "deep": .array([])],
                directory: "/d\0")
            if n % 2 == 0 { spec.granted = ComputeResources(cpus: 0.5, memoryBytes: 256 << 20) }
            if n % 6 == 0 { spec.template = UsedTemplate(id: .random(), revision: Int64(n + 1)) }
            if n % 4 == 3 { spec.ports = PortAccess(usual: .private, ports: [n + 1: .public]) }
            if n % 3 == 1 { spec.network = NetworkPolicy(internet: n % 2 == 0, denyOut: blocks) }
            if n % 4 == 1 {
                spec.filesystems = [
                    ComputeFilesystem(
                        id: .random(), name: "kept",
                        attachment: FilesystemAttachment(path: "/data", isReadOnly: n % 8 == 1))
                ]
            }
            try await commit([.requested(spec, at: at)], .absent, 0, 0)
            guard n % 5 != 0 else { continue }
            let placement = Placement(
                member: .random(), generation: .first, sidekick: .tcp(host: "10.0.0.1", port: 1),
                sidekickInternal: .unix(path: "/s"), portHost: "10.0.0.1")
            try await commit([.started(placement, expiresAt: at + .seconds(900))], .requested(spec), 1, 1)
            let running = Compute.State.running(spec, placement, expiresAt: at + .seconds(900))
            let session = SessionID.random()
            let grant = SessionGrant(
                computeID: id, description: "s\(n)", createdAt: at, lifetime: .seconds(n % 4 == 0 ? 60 : 86_400))
            func token(_ event: SessionTokenEvent, _ version: Int) async throws {
                _ = try await store.commit(
                    Commit(
                        appends: [
                            StreamAppend(
                                stream: .session(session), group: .default, expectedVersion: version,
                                events: [event.recorded])
                        ], metadata: .system, occurredAt: at + .seconds(2)))
            }
            try await token(.created(grant), 0)
            if n % 3 == 1 { try await token(.revoked(id, expiresAt: grant.expiresAt), 1) }
            if n % 2 == 0 { try await commit([.extended(expiresAt: at + .seconds(1800))], running, 2, 3) }
            if n % 7 == 0 {
                try await commit([.ended(.deleted)], running, n % 2 == 0 ? 3 : 2, 4)
            } else if n % 3 == 2 {
                let events: [ComputeEvent] = [
                    .metadataChanged(["team": .string("new"), "ok": .bool(true)]), .paused(placement.generation),
                    .expiryChanged(expiresAt: at + .seconds(600)), .networkChanged(NetworkPolicy(denyOut: blocks)),
                    .portsChanged(PortAccess(ports: [80: .private])),
                ]
                try await commit(events, running, n % 2 == 0 ? 3 : 2, 5)
                if n % 4 == 0 {
                    try await commit([.resumed(placement)], events.reduce(running, Compute.evolve), 8, 6)
                } else if n % 4 == 3 {
                    let kept = ComputeLifecycle(onExpiry: .stop, deleteAfterStopped: .seconds(77))
                    try await commit(
                        [
                            .lifecycleChanged(kept), .stopped(placement.generation, deleteAt: at + .seconds(700)),
                        ], events.reduce(running, Compute.evolve), 7, 7)
                }
            }
            _ = try await store.commit(
                .custom("build.done", ["n": .int(1)], of: id, in: .default, version: 0, metadata: .system, at: at))
        }
        try await tenants(store)
        try await secrets(store)
        try await filesystems(store)
        try await templates(store)
        try await pools(store)
        for n in 0..<5 {
            let id = WebhookID.random()
            _ = try await store.commit(.webhook(id, .created(WebhookSpec(origin: "https://a\(n).example"))))
            if n > 2 {
                _ = try await store.commit(.webhook(id, .secretRotated(version: 2, previousUntil: start), from: 1))
            }
            if n == 4 { _ = try await store.commit(.webhook(id, .deleted, from: 2)) }
        }
        return start + .seconds(computes * 60)
    }

    private static func secrets(_ store: any EventStore) async throws {
        for group in [GroupID.default, other] {
            for text in ["kept", "gone"] {
                let name = SecretName(text)!
                for version in 1...2 as ClosedRange<Int64> {
                    let key = SecretValueRow.Key(group: group, name: name, version: version)
                    let value = SecretValueRow(key: key, masterKey: "m", wrappedKey: [1], ciphertext: [2])
                    _ = try await store.commit(
                        .secret(text, version, in: group, at: start + .seconds(version), values: [.put(value)]))
                }
            }
            _ = try await store.commit(
                .secret("gone", 3, event: .deleted(SecretName("gone")!, version: 2), in: group))
        }
    }

    private static func filesystems(_ store: any EventStore) async throws {
        for group in [GroupID.default, other] {
            for name in ["kept", "gone"] {
                let id = FilesystemID.random()
                let compute = ComputeID.random()
                let attachment = FilesystemAttachment(path: "/data", isReadOnly: name == "gone")
                var events: [FilesystemEvent] = [
                    .created(FilesystemSpec(name: name, sizeMiB: 64)), .attached(compute, attachment),
                ]
                if name == "gone" { events += [.detached(compute), .deleted] }
                _ = try await store.commit(
                    .filesystem(
                        id, in: group, expectedVersion: 0, before: Filesystem.initial, events: events,
                        metadata: .system, at: start))
            }
        }
    }

    private static func templates(_ store: any EventStore) async throws {
        for group in [GroupID.default, other] {
            for name in ["kept", "gone"] {
                let spec = TemplateSpec(name: name, description: "d\0", defaults: ["image": .string("i")])
                var events: [TemplateEvent] = [
                    .created(spec), .revised(TemplateSpec(name: name), revision: 2), .revised(spec, revision: 3),
                ]
                if name == "gone" { events.append(.deleted) }
                _ = try await store.commit(
                    .template(
                        .random(), in: group, expectedVersion: 0, before: Template.initial, events: events,
                        metadata: .system, at: start))
            }
        }
    }

    private static func pools(_ store: any EventStore) async throws {
        for group in [GroupID.default, other] {
            for name in ["kept", "gone"] {
                let spec = PoolSpec(name: name, template: .random(), minimum: 1, maximum: 2)
                let fixed = PoolSpec(name: name, template: .random(), templateRevision: 2, minimum: 0, maximum: 0)
                var events: [PoolEvent] = [.created(spec), .changed(fixed, revision: 2)]
                if name == "gone" { events.append(.deleted) }
                _ = try await store.commit(
                    .pool(
                        .random(), in: group, expectedVersion: 0, before: Pool.initial, events: events,
                        metadata: .system, at: start))
            }
        }
    }

    private static func tenants(_ store: any EventStore) async throws {
        for (n, group) in [GroupID.default, other].enumerated() {
            let member = GroupMember(id: "member-\(n)", subject: Subject(issuer: "https://a", name: "x"), role: .owner)
            _ = try await store.commit(.group(group, [.created(name: "g"), .memberAdded(member)]))
            let grant = KeyGrant(id: "key-\(n)", label: "l\0", prefix: "p", member: member.id)
            _ = try await store.commit(.key(grant, [.created(grant)], in: group, hash: "h-\(n)"))
            _ = try await store.commit(
                .key(grant, [.rotated(number: 2, prefix: "q", overlapUntil: start)], version: 1, in: group))
            let session = APISessionGrant(
                id: "session-\(n)", owner: AccessRecord.ID(.key, grant.id), authority: Authority(role: .viewer),
                createdAt: start, expiresAt: start + .seconds(86_400))
            _ = try await store.commit(.session(session, [.created(session)], in: group))
            let gone = KeyGrant(id: "gone-\(n)", label: "l", prefix: "p")
            _ = try await store.commit(.key(gone, [.created(gone)], in: group, hash: "g-\(n)"))
            _ = try await store.commit(.key(gone, [.revoked], version: 1, in: group))
        }
    }
}
