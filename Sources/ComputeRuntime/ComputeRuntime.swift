package import ComputeCore

/// Where computes live: this machine, or a Kubernetes cluster. The API's only door to it.
///
/// A place starts as an idle *member* with nothing personal in it, is *claimed* by one POST to its Sidekick
/// (not by this port), and is removed whole. One contract suite runs against every implementation.
package protocol ComputeRuntime: Sendable {
    var abilities: RuntimeAbilities { get }

    /// What an operator wants to know of it, as it is now.
    func describe() -> RuntimeDescription

    /// Keeps the pool full and watches places until cancelled. Places outlive it unless `shutdown` is called.
    func run() async throws

    /// Takes an idle member of the template's current revision from memory; never waits. Whoever takes it owns
    /// it: claims it or removes it. It is never given to anybody else. nil when none is idle.
    func takeIdleMember() -> Member?

    /// How many members could be taken now.
    var idleCount: Int { get }

    /// The pools that shall be for groups, all of them, whatever there was before: level-triggered, so who tells twice
    /// changes nothing, and what he does not name any more goes. Never waits; members start, change and go afterwards. A
    /// pool that nobody can fill says why in its status.
    ///
    /// When a pool's order changes, its idle members are replaced one by one by those of the new order.
    func setPools(_ orders: [PoolOrder])

    /// As `takeIdleMember()`, of that pool: only one that was made exactly to that order.
    func takeIdleMember(of pool: PoolID, _ order: MemberOrder) -> Member?

    /// How the pools stand that were set last.
    var pools: [PoolID: PoolStatus] { get }

    /// Waits for a member that nobody had before, whose Sidekick listens. Without an order that is one that is idle by
    /// now, or the pool's next; with one it is always a fresh one, made as ordered.
    /// The caller owns it. A caller that is cancelled or whose deadline passes leaves nothing behind.
    /// - Throws: `.unsupported` for an order it cannot follow, `.outOfCapacity`, `.deadlineExceeded`, `.unavailable`.
    func startMember(
        _ order: MemberOrder, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> Member

    /// Every place there is, also those that an earlier process made, idle or not, alive or not. A place that is
    /// still starting is not listed.
    ///
    /// This is also how the death of a compute is noticed: the runtime replaces idle members that died, but a
    /// taken one stays listed with `isAlive == false` until it is removed, so the sweep, which looks every few
    /// seconds anyway, cannot miss it. There is no stream of deaths: a missed message would need the sweep again.
    func places() async throws(RuntimeError) -> [Place]

    /// Ends everything in the place and frees it. Removing what is not there succeeds. Works after `shutdown` too.
    func remove(_ name: MemberName) async throws(RuntimeError)

    /// Freezes a place: memory kept, no CPU. One that is frozen stays so. Needs `.freeze`, else throws `.unsupported`.
    func freeze(_ name: MemberName) async throws(RuntimeError)
    /// Thaws it again. One that runs goes on.
    func thaw(_ name: MemberName) async throws(RuntimeError)

    /// What the place may reach from when this returns on, and nothing else: what is open and is not allowed any more goes no
    /// further. It narrows what members reach by themselves and never widens that; a member that is not a compute's yet is
    /// `.open`. It stays as it is across restarts of this process. Needs `.network`, else throws `.unsupported`.
    func setNetwork(_ policy: NetworkPolicy, of name: MemberName) async throws(RuntimeError)
    /// From now on the member's own disk is no part of it: it outlives it, under that name, whatever becomes of it. One
    /// that is kept already stays so. The member goes on as before. Needs `.keepDisk`, like the next three; else throws
    /// `.unsupported`.
    /// - Throws: `.unavailable` when there is no such member, or its disk cannot be kept.
    func keepDisk(of name: MemberName, as id: ComputeID) async throws(RuntimeError)
    /// As `remove`, but its programs are asked to end first, and what they wrote is on the disk, if that is kept.
    /// Removing what is not there succeeds.
    func stop(_ name: MemberName) async throws(RuntimeError)
    /// With all that is on it. Removing what is not there succeeds.
    /// - Throws: `.unavailable` while a member has it.
    func removeDisk(_ id: ComputeID) async throws(RuntimeError)
    /// Every one that is kept, also those that members have.
    func keptDisks() async throws(RuntimeError) -> [ComputeID]

    /// Makes the disk of a filesystem, which no member has yet: empty, and on disk when this returns. One that is there
    /// stays as it is. Needs `.filesystems`, like the next two; else throws `.unsupported`.
    func makeVolume(_ id: FilesystemID, sizeMiB: Int64) async throws(RuntimeError)
    /// With all that is in it. Removing what is not there succeeds.
    /// - Throws: `.unavailable` while a member has it.
    func removeVolume(_ id: FilesystemID) async throws(RuntimeError)
    /// Every one there is, also those that are half made or half removed.
    func volumes() async throws(RuntimeError) -> [FilesystemID]

    /// nil when a create would succeed; else why not.
    func unreadyReason() async -> String?

    /// Starts nothing any more, fails those who wait, and removes the idle members; unless `keep`, every other
    /// place too. Idempotent.
    func shutdown(keep: Bool) async
}

/// What a runtime can do beyond starting and removing. What is absent throws `.unsupported`, which is a 409.
package struct RuntimeAbilities: OptionSet, Hashable, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    package static let freeze = RuntimeAbilities(rawValue: 1 << 0)
    /// Members whose own disks outlive them, and members on such disks.
    package static let keepDisk = RuntimeAbilities(rawValue: 1 << 1)
    package static let checkpoint = RuntimeAbilities(rawValue: 1 << 2)
    /// Members with disks that outlive them.
    package static let filesystems = RuntimeAbilities(rawValue: 1 << 3)
    /// Code in a compute cannot reach the host. Absent for `--isolation process`.
    package static let isolated = RuntimeAbilities(rawValue: 1 << 4)
    /// Members of a size that the caller chooses.
    package static let resources = RuntimeAbilities(rawValue: 1 << 5)
    /// Members of an image that the caller chooses.
    package static let images = RuntimeAbilities(rawValue: 1 << 6)
    /// What a member reaches can be narrowed.
    package static let network = RuntimeAbilities(rawValue: 1 << 7)

    /// The names, for people and programs.
    package var names: [String] {
        let all: [(RuntimeAbilities, String)] = [
            (.isolated, "isolated"), (.freeze, "freeze"), (.keepDisk, "keepDisk"), (.checkpoint, "checkpoint"),
            (.filesystems, "filesystems"), (.resources, "resources"), (.images, "images"),
            (.network, "network"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}

/// A started place whose Sidekick listens.
package struct Member: Hashable, Sendable, Codable {
    package var name: MemberName
    /// What the Gateway speaks to.
    package var sidekick: Endpoint
    /// What the API claims through; never mapped to a host or path.
    package var sidekickInternal: Endpoint
    /// Where ports of the compute are dialled: an IP address.
    package var portHost: String

    package init(name: MemberName, sidekick: Endpoint, sidekickInternal: Endpoint, portHost: String) {
        self.name = name
        self.sidekick = sidekick
        self.sidekickInternal = sidekickInternal
        self.portHost = portHost
    }
}

/// What the runtime knows of a place, for the sweep.
package struct Place: Hashable, Sendable {
    /// Who answers for the place.
    package enum Standing: Hashable, Sendable {
        /// In the idle pool of this process: not the sweep's business.
        case idle
        /// Taken in this process at that time: its taker claims or removes it. The sweep steps in only after a
        /// grace, since a place that was just taken is not claimed yet and has no record yet.
        case taken(at: WallTime)
        /// Made by an earlier process. Only its Sidekick knows whether it was claimed: the sweep asks, keeps the
        /// place when a record names it, and removes it otherwise. Unclaimed leftovers are removed too rather than
        /// adopted: a fresh member is cheaper than the proof that nobody else is claiming the old one.
        case leftover
    }

    package var member: Member
    package var isAlive: Bool
    package var standing: Standing
    package var startedAt: WallTime
    /// It stands still.
    package var isFrozen: Bool
    /// What holds for it; nil when a change was cut off.
    package var network: NetworkPolicy? = .open
    /// Which kept disk it was started on.
    package var disk: ComputeID?

    package var isIdle: Bool { standing == .idle }

    package init(
        member: Member, isAlive: Bool, standing: Standing, startedAt: WallTime, isFrozen: Bool = false,
        disk: ComputeID? = nil
    ) {
        self.member = member
        self.isAlive = isAlive
        self.standing = standing
        self.startedAt = startedAt
        self.isFrozen = isFrozen
        self.disk = disk
    }
}

package struct RuntimeError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        case outOfCapacity
        case deadlineExceeded
        case unsupported
        /// The image that was ordered is none, is not there, or cannot run here.
        case badImage
        /// The image that was ordered cannot be had at the moment.
        case imageOutOfReach
        case unavailable
    }
    package var code: Code
    package var message: String
    package var cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { "\(code): \(message)\(cause.map { " (\($0))" } ?? "")" }
}
