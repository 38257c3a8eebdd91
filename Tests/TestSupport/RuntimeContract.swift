import ComputeCore
package import ComputeRuntime

/// What every `ComputeRuntime` promises. The double and each real runtime run the same checks.
///
/// Each check gets a fresh runtime of its own whose `run()` is running, and throws `Violation` when a promise is
/// broken. Whoever runs them shuts the runtime down afterwards.
package struct RuntimeContract: Sendable {
    package struct Violation: Error, CustomStringConvertible {
        package var description: String
    }

    let runtime: any ComputeRuntime
    let poolSize: Int
    /// Whether the Sidekick accepts connections on both endpoints.
    let listens: @Sendable (Member) async -> Bool
    /// Whether anything of the place is left: a process, a file, a socket.
    let leavesTraces: @Sendable (Member) async -> Bool
    /// How long the real world may take.
    let patience: Duration

    package init(
        runtime: any ComputeRuntime, poolSize: Int, patience: Duration = .seconds(20),
        listens: @escaping @Sendable (Member) async -> Bool, leavesTraces: @escaping @Sendable (Member) async -> Bool
    ) {
        self.runtime = runtime
        self.poolSize = poolSize
        self.patience = patience
        self.listens = listens
        self.leavesTraces = leavesTraces
    }

    /// Every check after the other on one runtime with a pool of at least one.
    package func checkAll() async throws {
        try await poolFillsAndIsReady()
        try await hundredTakesGiveEachMemberOnce()
        try await poolRefillsAfterTakes()
        try await startedMemberListens()
        try await placesListsWhatExists()
        try await removeIsIdempotentAndLeavesNothing()
        try await passedDeadlineIsHonoured()
        try await absentAbilitiesAreRefused()
        try await frozenMembersThaw()
        try await networksAreNarrowedOrThatIsRefused()
        try await ordersAreFollowedOrRefused()
        try await volumesOutliveMembersOrAreRefused()
        try await poolsAreKeptAsOrdered()
        try await disksOutliveMembersOrAreRefused()
        try await itDescribesItself()
        try await shutdownKeepsOnlyTakenMembersAndStartsNothing()
        try await shutdownLeavesNothing()
    }

    package func poolFillsAndIsReady() async throws {
        try await eventually("the pool fills") { runtime.idleCount == poolSize }
        try expect(await runtime.unreadyReason() == nil, "a runtime with idle members is ready")
    }

    package func hundredTakesGiveEachMemberOnce() async throws {
        try await eventually("the pool fills") { runtime.idleCount == poolSize }
        let taken = await withTaskGroup(of: Member?.self) { group in
            for _ in 0..<100 { group.addTask { runtime.takeIdleMember() } }
            return await group.reduce(into: [Member]()) { all, member in if let member { all.append(member) } }
        }
        let names = Set(taken.map(\.name))
        try expect(names.count == taken.count, "no member is given twice")
        // The pool may refill meanwhile, but never from nothing to less than it had.
        try expect(taken.count >= poolSize, "every idle member was given: \(taken.count) of \(poolSize)")
        for member in taken { try expect(await listens(member), "a taken member listens") }
        try await removeAll(taken)
    }

    package func poolRefillsAfterTakes() async throws {
        try await eventually("the pool fills") { runtime.idleCount == poolSize }
        guard let member = runtime.takeIdleMember() else { throw Violation(description: "a full pool gives a member") }
        try await eventually("the pool refills") { runtime.idleCount == poolSize }
        try expect(
            try await runtime.places().contains { $0.member == member && !$0.isIdle },
            "a taken member is not idle again")
        try await removeAll([member])
    }

    package func startedMemberListens() async throws {
        // More than the pool holds, so that at least one starts cold.
        let members = try await withThrowingTaskGroup(of: Member.self) { group in
            for _ in 0..<(poolSize + 2) {
                group.addTask { try await runtime.startMember(.fromPool, deadline: .now + patience) }
            }
            return try await group.reduce(into: [Member]()) { $0.append($1) }
        }
        try expect(Set(members.map(\.name)).count == members.count, "every start gives another member")
        for member in members { try expect(await listens(member), "a started member listens") }
        try await removeAll(members)
    }

    package func placesListsWhatExists() async throws {
        let member = try await runtime.startMember(.fromPool, deadline: .now + patience)
        try await eventually("the pool fills") { runtime.idleCount == poolSize }
        let places = try await runtime.places()
        try expect(places.count { $0.isIdle } == poolSize, "idle members are listed as idle")
        guard let place = places.first(where: { $0.member == member }) else {
            throw Violation(description: "a taken member is listed")
        }
        try expect(place.isAlive, "it is alive")
        if case .taken = place.standing {} else { throw Violation(description: "it is taken, not \(place.standing)") }
        try await removeAll([member])
        try expect(
            try await !runtime.places().contains { $0.member.name == member.name }, "a removed member is not listed")
    }

    package func removeIsIdempotentAndLeavesNothing() async throws {
        let member = try await runtime.startMember(.fromPool, deadline: .now + patience)
        async let once: Void = runtime.remove(member.name)
        async let again: Void = runtime.remove(member.name)
        _ = try await (once, again)
        try await runtime.remove(member.name)
        try await runtime.remove(MemberName.random())
        try expect(await !leavesTraces(member), "a removed member leaves nothing")
        try expect(await !listens(member), "a removed member does not listen")
    }

    package func passedDeadlineIsHonoured() async throws {
        // Takes the idle ones away first: an idle member may be given whatever the deadline.
        var taken: [Member] = []
        for _ in 0..<(poolSize * 2) { if let member = runtime.takeIdleMember() { taken.append(member) } }
        do {
            let late = try await runtime.startMember(.fromPool, deadline: .now - .seconds(1))
            // Allowed only when one was idle by then.
            taken.append(late)
        } catch {
            try expect(error.code == .deadlineExceeded, "a passed deadline is .deadlineExceeded, not \(error)")
        }
        try await removeAll(taken)
    }

    package func absentAbilitiesAreRefused() async throws {
        guard !runtime.abilities.contains(.freeze) else { return }
        let member = try await runtime.startMember(.fromPool, deadline: .now + patience)
        do {
            try await runtime.freeze(member.name)
            throw Violation(description: "freezing without the ability is refused")
        } catch let error as RuntimeError {
            try expect(error.code == .unsupported, "freezing without the ability is .unsupported, not \(error)")
        }
        do {
            try await runtime.thaw(member.name)
            throw Violation(description: "thawing without the ability is refused")
        } catch let error as RuntimeError {
            try expect(error.code == .unsupported, "thawing without the ability is .unsupported, not \(error)")
        }
        try await removeAll([member])
    }

    package func frozenMembersThaw() async throws {
        guard runtime.abilities.contains(.freeze) else { return }
        let member = try await runtime.startMember(.fromPool, deadline: .now + patience)
        func isListed(frozen: Bool) async throws -> Bool {
            try await runtime.places().contains { $0.member == member && $0.isAlive && $0.isFrozen == frozen }
        }
        try expect(try await isListed(frozen: false), "a taken member is not frozen")
        try await runtime.freeze(member.name)
        try expect(try await isListed(frozen: true), "a frozen member is alive, and seen to be frozen")
        try await runtime.freeze(member.name)
        for _ in 0..<2 { try await runtime.thaw(member.name) }
        try expect(try await isListed(frozen: false), "a thawed member is seen to run")
        try expect(await listens(member), "a thawed member listens")
        try await runtime.freeze(member.name)
        try await removeAll([member])
        try expect(await !leavesTraces(member), "a frozen member is removed like any other")
    }

    /// Each call may be repeated, also on a place that is frozen; and a member that nobody narrowed is open.
    package func networksAreNarrowedOrThatIsRefused() async throws {
        let member = try await runtime.startMember(.fromPool, deadline: .now + patience)
        func network() async throws -> NetworkPolicy? {
            try await runtime.places().first { $0.member == member }?.network
        }
        let blocks = ["192.0.2.0/24", "192.0.2.7", "198.51.100.0/24", "2001:db8::/32"].compactMap { try? IPBlock($0) }
        let narrow = NetworkPolicy(internet: false, allowOut: blocks, denyOut: [blocks[1]])
        guard runtime.abilities.contains(.network) else {
            do {
                try await runtime.setNetwork(narrow, of: member.name)
                throw Violation(description: "narrowing without the ability is refused")
            } catch let error as RuntimeError {
                try expect(error.code == .unsupported, "narrowing without the ability is .unsupported, not \(error)")
            }
            return try await removeAll([member])
        }
        try expect(try await network() == .open, "a member that nobody narrowed is open")
        for policy in [narrow, narrow, NetworkPolicy(denyOut: [blocks[2]]), .open, .open, narrow] {
            try await runtime.setNetwork(policy, of: member.name)
            try expect(try await network() == policy, "what was set is what holds")
            try expect(await listens(member), "a member listens whatever it may reach")
        }
        if runtime.abilities.contains(.freeze) {
            try await runtime.freeze(member.name)
            try await runtime.setNetwork(.open, of: member.name)
            try expect(try await network() == .open, "what is frozen is narrowed like any other")
            try await runtime.setNetwork(narrow, of: member.name)
            try await runtime.thaw(member.name)
        }
        try await removeAll([member])
        try expect(await !leavesTraces(member), "a narrowed member is removed like any other")
        do {
            try await runtime.setNetwork(narrow, of: member.name)
            throw Violation(description: "what is not there is not narrowed")
        } catch let error as RuntimeError {
            try expect(error.code == .unavailable, "it is .unavailable, not \(error)")
        }
    }

    /// An order is followed, beside the pool, or refused: never answered with something else.
    package func ordersAreFollowedOrRefused() async throws {
        let order = MemberOrder(resources: ComputeResources(cpus: 0.5, memoryBytes: 300 << 20))
        guard runtime.abilities.contains(.resources) else {
            do {
                _ = try await runtime.startMember(order, deadline: .now + patience)
                throw Violation(description: "an order without the ability is refused")
            } catch let error as RuntimeError {
                try expect(error.code == .unsupported, "an order without the ability is .unsupported, not \(error)")
            }
            return
        }
        try await eventually("the pool fills") { runtime.idleCount == poolSize }
        let idle = try await runtime.places().filter(\.isIdle).map(\.member.name)
        let member = try await runtime.startMember(order, deadline: .now + patience)
        try expect(!idle.contains(member.name), "a member that is made to order is a fresh one")
        try expect(await listens(member), "it listens")
        guard let place = try await runtime.places().first(where: { $0.member == member }) else {
            throw Violation(description: "it is listed")
        }
        if case .taken = place.standing {} else { throw Violation(description: "it is taken, not \(place.standing)") }
        try await removeAll([member])
    }

    /// Each of the calls may be repeated; a volume that a member has stays.
    package func volumesOutliveMembersOrAreRefused() async throws {
        let id = FilesystemID.random()
        let order = MemberOrder(mounts: [VolumeMount(volume: id, path: "/data", isReadOnly: false)])
        guard runtime.abilities.contains(.filesystems) else {
            let calls: [() async throws -> Void] = [
                { try await runtime.makeVolume(id, sizeMiB: 64) },
                { try await runtime.removeVolume(id) },
                { _ = try await runtime.volumes() },
                { _ = try await runtime.startMember(order, deadline: .now + patience) },
            ]
            for call in calls {
                do {
                    try await call()
                    throw Violation(description: "a volume without the ability is refused")
                } catch let error as RuntimeError {
                    try expect(error.code == .unsupported, "it is .unsupported, not \(error)")
                }
            }
            return
        }
        for _ in 0..<2 { try await runtime.makeVolume(id, sizeMiB: 64) }
        try expect(try await runtime.volumes().contains(id), "a volume is listed")
        let member = try await runtime.startMember(order, deadline: .now + patience)
        try expect(await listens(member), "a member with a volume listens")
        do {
            try await runtime.removeVolume(id)
            throw Violation(description: "a volume in use is not removed")
        } catch let error as RuntimeError {
            try expect(error.code == .unavailable, "it is .unavailable, not \(error)")
        }
        try await removeAll([member])
        try expect(await !leavesTraces(member), "a member with a volume is removed like any other")
        try expect(try await runtime.volumes().contains(id), "and its volume stays")
        for _ in 0..<2 { try await runtime.removeVolume(id) }
        try expect(try await !runtime.volumes().contains(id), "until it is removed")
    }

    /// What waits in a pool of a group is made as ordered and given once to who asks for exactly that; what is not ordered
    /// any more goes, but for what somebody took. The runtime's own pool is another one.
    package func poolsAreKeptAsOrdered() async throws {
        let (id, other) = (PoolID.random(), PoolID.random())
        let sized = MemberOrder(resources: ComputeResources(cpus: 0.5, memoryBytes: 300 << 20))
        let hasSizes = runtime.abilities.contains(.resources)
        let order = hasSizes ? sized : .fromPool
        func idle() async throws -> Int { try await runtime.places().count { $0.isIdle } }
        try await eventually("the own pool fills") { runtime.idleCount == poolSize }
        for _ in 0..<2 {
            runtime.setPools([
                PoolOrder(id: id, group: .default, members: order, target: 2),
                PoolOrder(id: other, group: .default, members: .fromPool, target: 1),
            ])
        }
        try await eventually("pools fill") { runtime.pools[id]?.idle == 2 && runtime.pools[other]?.idle == 1 }
        try expect(runtime.idleCount == poolSize, "the own pool is as it was")
        try expect(try await idle() == poolSize + 3, "all of them are listed as idle, and told twice is told once")
        guard let member = runtime.takeIdleMember(of: id, order), runtime.takeIdleMember(of: other, .fromPool) != nil
        else { throw Violation(description: "a full pool gives a member") }
        try expect(await listens(member), "it listens")
        try expect(
            runtime.takeIdleMember(of: id, MemberOrder(image: "another")) == nil, "never one of another order")
        try expect(runtime.takeIdleMember(of: .random(), order) == nil, "nor of a pool that is not there")
        guard let place = try await runtime.places().first(where: { $0.member == member }) else {
            throw Violation(description: "a taken member is listed")
        }
        if case .taken = place.standing {} else { throw Violation(description: "it is taken, not \(place.standing)") }
        try await eventually("pools refill") { runtime.pools[id]?.idle == 2 && runtime.pools[other]?.idle == 1 }

        runtime.setPools([PoolOrder(id: id, group: .default, members: order, target: 1)])
        try await eventually("what is too much goes") { try await idle() == poolSize + 1 }
        try expect(runtime.pools[other] == nil, "a pool that is not named is none")
        try expect(await listens(member), "what somebody took stays")
        if !hasSizes {
            runtime.setPools([PoolOrder(id: id, group: .default, members: sized, target: 1)])
            try await eventually("a pool that cannot be filled says why") {
                runtime.pools[id]?.failure?.code == .unsupported
            }
        }
        runtime.setPools([])
        try await eventually("no pool, no members") { try await idle() == poolSize }
        for place in try await runtime.places() where !place.isIdle { try await runtime.remove(place.member.name) }
        // The shutdown finds one.
        runtime.setPools([PoolOrder(id: id, group: .default, members: order, target: 1)])
        try await eventually("it fills") { runtime.pools[id]?.idle == 1 }
    }

    package func itDescribesItself() async throws {
        try await eventually("the pool fills") { runtime.idleCount == poolSize }
        let description = runtime.describe()
        try expect(description.abilities == runtime.abilities, "it says its abilities")
        try expect(description.poolTarget == poolSize && description.poolIdle == poolSize, "it says its pool")
    }

    package func shutdownKeepsOnlyTakenMembersAndStartsNothing() async throws {
        let kept = try await runtime.startMember(.fromPool, deadline: .now + patience)
        await runtime.shutdown(keep: true)
        try expect(await listens(kept), "a kept member lives on")
        try expect(try await runtime.places().map(\.member) == [kept], "only the kept member is left")
        try expect(runtime.takeIdleMember() == nil, "nothing is idle after the shutdown")
        try expect(await runtime.unreadyReason() != nil, "a runtime that is shut down is not ready")
        do {
            _ = try await runtime.startMember(.fromPool, deadline: .now + patience)
            throw Violation(description: "a runtime that is shut down starts nothing")
        } catch let error as RuntimeError {
            try expect(error.code == .unavailable, "a start after the shutdown is .unavailable, not \(error)")
        }
    }

    package func shutdownLeavesNothing() async throws {
        let places = try await runtime.places()
        await runtime.shutdown(keep: false)
        try expect(try await runtime.places().isEmpty, "nothing is listed after the shutdown")
        for place in places { try expect(await !leavesTraces(place.member), "the shutdown leaves nothing") }
    }

    // MARK: Inside

    func removeAll(_ members: [Member]) async throws {
        for member in members { try await runtime.remove(member.name) }
    }

    func expect(_ holds: Bool, _ promise: String) throws {
        if !holds { throw Violation(description: "broken: \(promise)") }
    }

    /// Looks until it holds or the patience ends: the world behind a runtime is real.
    func eventually(_ promise: String, _ holds: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + patience
        while try await !holds() {
            guard ContinuousClock.now < deadline else { throw Violation(description: "broken: \(promise)") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
