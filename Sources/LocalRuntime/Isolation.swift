import ComputeCore
import ComputeRuntime

/// How members are kept apart, from each other and from the machine. `MachineRuntime` decides when members start,
/// who gets them and when they end; an isolation does it.
///
/// Whatever it makes is found again by name after a crash, on the machine itself: there is no list that could be wrong.
protocol Isolation: Sendable {
    var abilities: RuntimeAbilities { get }
    /// Without what only the pool knows.
    var description: RuntimeDescription { get }

    /// Makes the machine ready for the first start; repeatable. What cannot be used any more was removed before.
    func prepare() async throws(RuntimeError)

    /// What the next member is to be called: a name never used before. It may have been made ready for that order.
    func nextName(_ order: MemberOrder) -> MemberName

    /// Beside members, for as long as the runtime runs.
    func lookAfter() async

    /// Nothing is made ready any more. What was is among `spares`.
    func close() async

    /// Names under which something is ready for a member that nobody asked for yet.
    var spares: Set<MemberName> { get }

    /// Starts a member and returns once its Sidekick listens. When it throws, nothing of it goes on, and its caller
    /// removes what is left.
    /// - Parameter onEnd: called once, when a member that was started ends, whoever ended it.
    func start(
        _ name: MemberName, _ order: MemberOrder, startedAt: WallTime, deadline: ContinuousClock.Instant,
        onEnd: @escaping @Sendable () -> Void
    ) async throws(RuntimeError) -> Member

    /// Somebody takes the member, which may be frozen: it runs when this returns. Called outside any lock, by whoever
    /// waits for the member, and quick enough not to need a thread of its own.
    func take(_ name: MemberName) throws(RuntimeError)

    /// Block for milliseconds at most. Unless it has the ability: `.unsupported`.
    func freeze(_ name: MemberName) throws(RuntimeError)
    func thaw(_ name: MemberName) throws(RuntimeError)

    /// Members that are whole enough to be a compute's, alive or not, of this process or an earlier one. Blocks.
    func survey() -> [Survey]

    /// Everything of ours on the machine, in whatever state. Blocks.
    func names() -> [MemberName]

    /// Of `names` those that no compute can live in, given that nothing of this process runs yet. Blocks.
    func useless() -> [MemberName]

    /// Ends everything of the member and frees it, however little of it is there. Never called twice at once for one
    /// name.
    func remove(_ name: MemberName) async throws(RuntimeError)

    /// As of `ComputeRuntime`. Unless it has the ability: `.unsupported`.
    func setNetwork(_ policy: NetworkPolicy, of name: MemberName) async throws(RuntimeError)

    /// As of `ComputeRuntime`. Unless it has the ability: `.unsupported`.
    func makeVolume(_ id: FilesystemID, sizeMiB: Int64) async throws(RuntimeError)
    func removeVolume(_ id: FilesystemID) async throws(RuntimeError)
    /// Blocks.
    func volumes() throws(RuntimeError) -> [FilesystemID]

    /// As of `ComputeRuntime`. Unless it has the ability: `.unsupported`.
    func keepDisk(of name: MemberName, as id: ComputeID) async throws(RuntimeError)
    func removeDisk(_ id: ComputeID) async throws(RuntimeError)
    /// Blocks.
    func keptDisks() throws(RuntimeError) -> [ComputeID]

    /// Asks the member's programs to end, and waits for them a while; it is removed next. What they wrote is on its disk
    /// then, unless they took too long.
    func quiesce(_ name: MemberName) async

    /// Undoes `prepare`, when no member is left.
    func tearDown() async
}

extension Isolation {
    func nextName(_ order: MemberOrder) -> MemberName { .random() }
    func lookAfter() async {}
    func close() async {}
    var spares: Set<MemberName> { [] }

    func setNetwork(_ policy: NetworkPolicy, of name: MemberName) async throws(RuntimeError) {
        throw RuntimeError(.unsupported, "\(description.isolation) isolation has one network for all")
    }

    func makeVolume(_ id: FilesystemID, sizeMiB: Int64) async throws(RuntimeError) { throw noVolumes }
    func removeVolume(_ id: FilesystemID) async throws(RuntimeError) { throw noVolumes }
    func volumes() throws(RuntimeError) -> [FilesystemID] { throw noVolumes }
    private var noVolumes: RuntimeError {
        RuntimeError(.unsupported, "\(description.isolation) isolation has no filesystems")
    }
}

/// What is seen of one member on the machine.
struct Survey: Sendable, Hashable {
    var member: Member
    /// nil while it starts, or when its start was cut off.
    var process: ProcessIdentity?
    var startedAt: WallTime
    var isAlive: Bool
    var isFrozen = false
    /// nil when a change was cut off.
    var network: NetworkPolicy? = .open
    /// Which kept disk it was started on.
    var disk: ComputeID?
}
