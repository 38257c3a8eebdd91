import Glibc
import LinuxSystem
import Synchronization

/// One command, from its start until it has ended, and what its client says meanwhile.
final class ElevationSession: Sendable {
    /// What a command gets after the hang-up of its client.
    private static let terminationGrace: Duration = .seconds(2)

    private enum State {
        /// Kept are one of each signal.
        case starting(signals: Set<Int32>, isHungUp: Bool)
        case running(ChildProcess)
        case ended
    }

    private let state = Mutex(State.starting(signals: [], isHungUp: false))

    func started(_ child: ChildProcess) {
        let (signals, isHungUp) = state.withLock { state -> (Set<Int32>, Bool) in
            guard case .starting(let signals, let isHungUp) = state else { return ([], false) }
            state = .running(child)
            return (signals, isHungUp)
        }
        for number in signals { child.signal(number) }
        if isHungUp { Self.end(child) }
    }

    func ended() { state.withLock { $0 = .ended } }

    func signalled(_ number: Int32) {
        let child = state.withLock { state -> ChildProcess? in
            switch state {
            case .starting(let signals, let isHungUp):
                state = .starting(signals: signals.union([number]), isHungUp: isHungUp)
                return nil
            case .running(let child): return child
            case .ended: return nil
            }
        }
        child?.signal(number)
    }

    func hungUp() {
        let child = state.withLock { state -> ChildProcess? in
            switch state {
            case .starting(let signals, _):
                state = .starting(signals: signals, isHungUp: true)
                return nil
            case .running(let child): return child
            case .ended: return nil
            }
        }
        if let child { Self.end(child) }
    }

    private static func end(_ child: ChildProcess) { child.end(SIGHUP, grace: terminationGrace) }
}

/// The standard streams that a client has handed over, in order; closed when nobody needs them.
final class PassedDescriptors: Sendable {
    let input: Int32
    let output: Int32
    let error: Int32

    init(_ descriptors: [Int32]) {
        (input, output, error) = (descriptors[0], descriptors[1], descriptors[2])
    }

    deinit { for descriptor in [input, output, error] { closeDescriptor(descriptor) } }
}
