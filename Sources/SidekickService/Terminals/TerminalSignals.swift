import LinuxSystem
import Synchronization

/// Sends a terminal's programs the signals of its keys, in gVisor: the one of 2022 sends none, and later ones hand the key to
/// the programs as well.
///
/// ```
/// input ──▶ TerminalKeys.sift ──▶ signal ──▶ a program in the terminal's session (Sources/CTerminalSignals) ──▶ foreground
///                             └─▶ the rest, once the signal is sent ──▶ terminal
/// ```
final class TerminalSignals: Sendable {
    /// Some 20 ms when the program does not end of it, where the machine has time for it.
    private static let patience: Duration = .seconds(1)

    /// Locked while an answer is waited for, so that nobody takes another one's.
    private let socket: Mutex<SharedDescriptor>

    /// - Returns: nil where the kernel does it well, or there is no program for it.
    static func make(for terminal: PseudoTerminal) throws -> (TerminalSignals, ProcessOrder.Companion)? {
        guard MemoryGauge.here == .sandbox, let program = InstalledFile.path(of: "terminal-signals") else { return nil }
        let sockets = try SocketPair()
        return (
            TerminalSignals(socket: sockets.ours),
            ProcessOrder.Companion(words: [program, terminal.path], input: sockets.its)
        )
    }

    private init(socket: SharedDescriptor) { self.socket = Mutex(socket) }

    /// **Blocks** for as long as a signal takes, so that what is typed behind it is not read by the program that it is for.
    /// However often a key is in the input, its signal is sent once.
    /// - Returns: what is left to be written to the terminal; nil when all of it is: no key of it sends a signal, or nobody is
    ///   there to send one, and the kernel does what it can.
    func send(_ input: some Collection<UInt8>, to stream: DescriptorStream) -> [UInt8]? {
        var keys = TerminalKeys(signals: [:], areShown: false)
        stream.withDescriptor { keys = TerminalKeys(ofMaster: $0) }
        let (signals, shown, rest) = keys.sift(input)
        guard !signals.isEmpty else { return nil }
        stream.dropInput(showing: shown)
        let areSent = socket.withLock { socket in
            Set(signals).sorted().allSatisfy { SocketPair.ask(UInt8($0), of: socket.raw, within: Self.patience) }
        }
        return areSent ? rest : nil
    }
}
