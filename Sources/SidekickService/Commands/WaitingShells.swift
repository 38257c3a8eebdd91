import Glibc
package import LinuxSystem
import Synchronization

/// Shells that were started ahead, each for one command: most of the time that a command takes is its shell's start.
///
///     a command ended ──▶ prepare: `<shell> -c …` starts with a library of ours (Sources/CWaitingShell) and waits in it
///     the next one    ──▶ take: its text, folder, variables and streams go to the shell, which goes on as if they had been
///                         there from the start
///
/// Whoever takes one must ask it, once it has ended, whether it ran: it may have died while it waited, or be a program that the
/// library does nothing for. Then nothing of the command has run.
package final class WaitingShells: Sendable {
    /// Two: the user's, and one that is asked for by its name.
    private static let most = 2
    /// What a socket takes at once. Longer orders are for a start of their own.
    private static let mostBytes = 64 << 10
    private static let mark = "COMPUTESDK_WAITING_SHELL"
    /// Is shown in lists of processes, and where the command will be shown: as long as most are.
    private static let placeholder = ": waits for the next command".padding(to: 1024)

    private struct Key: Hashable {
        let program: String
        let identity: ProcessOrder.Identity?

        init(_ order: ProcessOrder) {
            program = order.program
            identity = order.identity
        }
    }

    private enum Place {
        /// Whoever takes it now waits for it: it will be there sooner than another one.
        case starting(OneShot<WaitingShell?>)
        case waiting(WaitingShell)
        /// The library does nothing for this program.
        case unable
    }

    private let reaper: Reaper
    private let library: String
    private let places = Mutex<[Key: Place]>([:])

    /// - Returns: nil when whoever laid the Sidekick here has put no library there.
    package init?(reaper: Reaper) {
        guard let library = InstalledFile.path(of: "libwaitingshell.so") else { return nil }
        self.reaper = reaper
        self.library = library
    }

    /// Gives the order to a shell that waits for one like it.
    /// - Returns: nil when there is none.
    func take(_ order: ProcessOrder, input: Int32, output: Int32, error: Int32) async -> WaitingShell? {
        guard let bytes = Self.bytes(of: order) else { return nil }
        let key = Key(order)
        let place = places.withLock { places -> Place? in
            guard let place = places[key] else { return nil }
            if case .unable = place { return nil }
            places[key] = nil
            return place
        }
        let shell: WaitingShell? =
            switch place {
            case .waiting(let shell): shell
            case .starting(let start): await start.wait()
            case .unable, nil: nil
            }
        guard let shell else { return nil }
        reaper.bringBack(shell.child)
        guard shell.send(bytes, variables: order.environment.count, [input, output, error]) else {
            shell.child.terminate(SIGKILL)
            return nil
        }
        return shell
    }

    /// One like the order's will wait, if there is room. **Blocks** as a start does.
    func prepare(like order: ProcessOrder) {
        guard Self.suits(order) else { return }
        let key = Key(order)
        let start = OneShot<WaitingShell?>()
        let isDue = places.withLock { places -> Bool in
            let count = places.count { if case .unable = $0.value { false } else { true } }
            guard places[key] == nil, count < Self.most, places.count < 16 else { return false }
            places[key] = .starting(start)
            return true
        }
        guard isDue else { return }
        let shell = try? self.start(order)
        places.withLock { places in
            // Else somebody has it already.
            if case .starting(let current)? = places[key], current === start {
                places[key] = shell.map(Place.waiting)
            }
        }
        start.set(shell)
    }

    /// Returns when those that were being started wait, or have turned out not to.
    func settle(within limit: Duration) async {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline,
            !places.withLock({ places in
                for (key, place) in places {
                    guard case .waiting(let shell) = place, !shell.hasWaited else { continue }
                    if shell.child.currentExitStatus != nil { places[key] = .unable }
                }
                return places.values.allSatisfy { place in
                    switch place {
                    case .starting: false
                    case .waiting(let shell): shell.hasWaited
                    case .unable: true
                    }
                }
            })
        { try? await Task.sleep(for: .milliseconds(2)) }
    }

    private func start(_ order: ProcessOrder) throws -> WaitingShell {
        var waiting = order
        waiting.arguments[2] = Self.placeholder
        waiting.environment = ["LD_PRELOAD": library, Self.mark: "1"]
        let sockets = try SocketPair()
        let null = try openNullDevice()
        defer { closeDescriptor(null) }
        let child = try withExtendedLifetime(sockets) {
            try reaper.spawn(waiting, input: sockets.its.raw, output: null, error: null)
        }
        reaper.setAside(child)
        return WaitingShell(child: child, socket: sockets.ours)
    }

    /// What was taken has ended and not run.
    func didNotRun(_ shell: WaitingShell, like order: ProcessOrder) {
        // One that has said that it waits was killed meanwhile; one that has not is no program for this.
        guard !shell.hasWaited else { return }
        places.withLock { $0[Key(order)] = .unable }
    }

    /// Whether it is `<path> -c <text>`, and has no variables that are read before the library runs.
    private static func suits(_ order: ProcessOrder) -> Bool {
        guard order.arguments.count == 3, order.arguments[1] == "-c", order.program.contains("/"),
            order.directory != nil, case .newSession = order.group, order.firstNUL == nil
        else { return false }
        return !order.environment.keys.contains { name in
            ["LD_", "GLIBC_", "MALLOC_"].contains { name.hasPrefix($0) }
        }
    }

    /// nil: it does not suit, or is too long.
    private static func bytes(of order: ProcessOrder) -> [UInt8]? {
        guard suits(order), let directory = order.directory else { return nil }
        var bytes: [UInt8] = []
        for text in [order.arguments[2], directory] + order.environment.map({ "\($0.key)=\($0.value)" }) {
            bytes += text.utf8
            bytes.append(0)
        }
        return bytes.count <= mostBytes ? bytes : nil
    }
}

/// One that waits, or has waited, and the socket that it waits at.
final class WaitingShell: Sendable {
    let child: ChildProcess
    private let socket: SharedDescriptor
    /// What it has said: `r` when it began to wait, `t` when it had the order.
    private let said = Mutex("")

    init(child: ChildProcess, socket: SharedDescriptor) {
        self.child = child
        self.socket = socket
    }

    fileprivate func send(_ bytes: [UInt8], variables: Int, _ streams: [Int32]) -> Bool {
        SocketPair.send([UInt32(bytes.count), UInt32(variables)], bytes, descriptors: streams, to: socket.raw)
    }

    /// Begun to wait.
    var hasWaited: Bool { heard.contains("r") }

    /// Taken its order: what ran then is the command. Asked when it has ended.
    var hasRun: Bool { heard.contains("t") }

    private var heard: String {
        said.withLock { said in
            said += SocketPair.receive(from: socket.raw, upTo: 2)
            return said
        }
    }
}

extension String {
    fileprivate func padding(to length: Int) -> String { self + String(repeating: " ", count: length - utf8.count) }
}
