import ComputeCore
import LinuxHost
import Synchronization

/// Disks and ends of the network that are laid before anybody asks for a member: they take a third of a start and
/// need nothing that is known only then.
///
/// ```
///  begin ─► laying ─ finish ─► ready ─ next ─► handed ─ claim ─► a start's own
///              └ fail ─► (gone)      all of them are spares: nobody's members, removed at a stop
/// ```
final class Grounds: Sendable {
    struct Ground: Sendable {
        var attachment: HostNetwork.Attachment
        var rootfs: String
    }

    private struct State {
        var laying: Set<MemberName> = []
        /// The oldest first.
        var ready: [(name: MemberName, ground: Ground)] = []
        var handed: [MemberName: Ground] = [:]
        var isClosed = false
    }

    private let target: Int
    private let state = Mutex(State())
    /// One may be missing.
    let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(target: Int) {
        self.target = target
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        wake.yield()
    }

    /// - Returns: the name of one to lay now; nil when there are enough.
    func begin() -> MemberName? {
        state.withLock { state in
            guard !state.isClosed, state.laying.count + state.ready.count < target else { return nil }
            let name = MemberName.random()
            state.laying.insert(name)
            return name
        }
    }

    func finish(_ name: MemberName, _ ground: Ground) {
        state.withLock { state in
            guard state.laying.remove(name) != nil else { return }
            state.ready.append((name, ground))
        }
    }

    func fail(_ name: MemberName) { _ = state.withLock { $0.laying.remove(name) } }

    /// The name for a member that will stand on it.
    func next() -> MemberName? {
        let name = state.withLock { state -> MemberName? in
            guard !state.isClosed, !state.ready.isEmpty else { return nil }
            let (name, ground) = state.ready.removeFirst()
            state.handed[name] = ground
            return name
        }
        if name != nil { wake.yield() }
        return name
    }

    func claim(_ name: MemberName) -> Ground? { state.withLock { $0.handed.removeValue(forKey: name) } }

    var spares: Set<MemberName> {
        state.withLock { $0.laying.union($0.ready.map(\.name)).union($0.handed.keys) }
    }

    /// Lays no more. Those under way end by themselves.
    func close() async {
        state.withLock { $0.isClosed = true }
        wake.finish()
        while state.withLock({ !$0.laying.isEmpty }) { await pause() }
    }
}
