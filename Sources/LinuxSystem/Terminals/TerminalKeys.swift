import CLinux
import Glibc

/// The keys of a terminal that send signals to what runs in its foreground.
package struct TerminalKeys: Hashable, Sendable {
    /// By key; none when the terminal hands them to its programs, as it does for an editor.
    package let signals: [UInt8: Int32]
    package let areShown: Bool

    package init(signals: [UInt8: Int32], areShown: Bool) {
        self.signals = signals
        self.areShown = areShown
    }

    /// As they are set at this moment. Does not block.
    package init(ofMaster master: Int32) {
        var keys = clinux_terminal_keys()
        guard clinux_read_terminal_keys(master, &keys) == 0, keys.send_signals == 1 else {
            self.init(signals: [:], areShown: false)
            return
        }
        let pairs = [(keys.interrupt, SIGINT), (keys.quit, SIGQUIT), (keys.suspend, SIGTSTP)].filter { $0.0 != 0 }
        self.init(signals: Dictionary(pairs) { first, _ in first }, areShown: keys.are_shown == 1)
    }

    /// What to do about some input: the signals to send, what is shown of their keys, and the input that is left. What came
    /// before such a key is lost, as it is in any terminal: the key is for when something goes wrong.
    package func sift(_ input: some Collection<UInt8>) -> (signals: [Int32], shown: [UInt8], rest: [UInt8]) {
        var signals: [Int32] = []
        var shown: [UInt8] = []
        var rest: [UInt8] = []
        for byte in input {
            if let signal = self.signals[byte] {
                signals.append(signal)
                if areShown { shown += Self.caret(byte) }
                rest = []
            } else {
                rest.append(byte)
            }
        }
        return (signals, shown, rest)
    }

    /// `^C` for the key of 3.
    private static func caret(_ key: UInt8) -> [UInt8] {
        key < 0x20 || key == 0x7f ? [UInt8(ascii: "^"), key ^ 0x40] : [key]
    }
}
