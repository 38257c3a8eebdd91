import ComputeCore
import ComputeRuntime

// Disks that outlive their members.
extension RuntimeContract {
    /// Each of the calls may be repeated; a disk that a member has stays, and nobody else has it.
    package func disksOutliveMembersOrAreRefused() async throws {
        let id = ComputeID.random()
        let order = MemberOrder(disk: id)
        guard runtime.abilities.contains(.keepDisk) else {
            let member = try await runtime.startMember(.fromPool, deadline: .now + patience)
            let calls: [() async throws -> Void] = [
                { try await runtime.keepDisk(of: member.name, as: id) }, { try await runtime.stop(member.name) },
                { try await runtime.removeDisk(id) }, { _ = try await runtime.keptDisks() },
                { _ = try await runtime.startMember(order, deadline: .now + patience) },
            ]
            for call in calls {
                do {
                    try await call()
                    throw Violation(description: "keeping a disk without the ability is refused")
                } catch let error as RuntimeError {
                    try expect(error.code == .unsupported, "it is .unsupported, not \(error)")
                }
            }
            try await removeAll([member])
            return
        }
        try await isRefused("a disk that nobody kept") {
            _ = try await runtime.startMember(order, deadline: .now + .seconds(1))
        }
        try await isRefused("the disk of nobody") { try await runtime.keepDisk(of: .random(), as: id) }
        let first = try await runtime.startMember(.fromPool, deadline: .now + patience)
        for _ in 0..<2 { try await runtime.keepDisk(of: first.name, as: id) }
        try expect(await listens(first), "a member whose disk is kept goes on")
        try expect(try await runtime.keptDisks() == [id], "a kept disk is listed")
        try await isRefused("another member on its disk") {
            _ = try await runtime.startMember(order, deadline: .now + .milliseconds(500))
        }
        try await isRefused("the removal of a disk in use") { try await runtime.removeDisk(id) }
        // A paused one is stopped like any other.
        if runtime.abilities.contains(.freeze) { try await runtime.freeze(first.name) }
        for _ in 0..<2 { try await runtime.stop(first.name) }
        try expect(await !leavesTraces(first), "a stopped member leaves nothing but its disk")
        try expect(try await !runtime.places().contains { $0.member == first }, "and is not listed")
        try await runtime.keepDisk(of: first.name, as: id)
        let second = try await runtime.startMember(order, deadline: .now + patience)
        try expect(second.name != first.name, "it is another member")
        try expect(await listens(second), "that listens")
        let place = try await runtime.places().first { $0.member == second }
        try expect(place?.disk == id && place?.isAlive == true, "and is seen to be on the disk")
        // It waits for one that is on its way out.
        async let third = runtime.startMember(order, deadline: .now + patience)
        try await runtime.remove(second.name)
        let last = try await third
        try expect(await listens(last), "a removal does not take the disk along")
        try await runtime.remove(last.name)
        try expect(try await runtime.keptDisks() == [id], "the disk stays")
        // The kernel may take a moment to see that nobody has it any more.
        let deadline = ContinuousClock.now + patience
        while try await !runtime.keptDisks().isEmpty {
            do { try await runtime.removeDisk(id) } catch {
                guard error.code == .unavailable, ContinuousClock.now < deadline else { throw error }
            }
        }
        try await runtime.removeDisk(id)
    }

    private func isRefused(_ what: String, _ call: () async throws -> Void) async throws {
        do {
            try await call()
        } catch is RuntimeError {
            return
        }
        throw Violation(description: "broken: \(what) is refused")
    }
}
