/// What `sudo` asks for. It comes with the three standard descriptors, and is not to be believed in anything.
struct ElevationRequest: Codable, Hashable, Sendable {
    enum Form: String, Codable, Sendable {
        case command
        /// `-s`: the caller's shell, with the command if there is one.
        case shell
        /// `-i`: the target's shell, as at a login.
        case login
    }

    /// With a `#` in front of it a number, else a name.
    var user = "root"
    var form = Form.command
    var arguments: [String] = []
    /// The caller's whole environment.
    var environment: [String: String] = [:]
    /// `NAME=value` in front of the command.
    var assignments: [String: String] = [:]
    /// `-E`
    var keepsEnvironment = false
    /// `--preserve-env=NAME,NAME`
    var keptNames: [String] = []
    /// `-H`
    var setsHome = false
    /// nil: the caller's is gone.
    var directory: String?
    /// The caller's umask, to which root's is added.
    var fileModeMask: UInt32 = 0
    /// `-b`
    var isBackground = false
}

/// Both directions of one conversation. Numbers are bytes, texts UTF-8.
///
///     client                                Sidekick
///       request, descriptors, identity ──►    refused ─► text, closed
///       signal …                       ──►    to the command's process group
///                                      ◄──  exit code, closed
///       closed                         ──►    command hung up, killed a little later
enum ElevationFrame {
    /// JSON of an `ElevationRequest`.
    static let request = UInt8(ascii: "R")
    /// One byte: the number.
    static let signal = UInt8(ascii: "S")
    /// One byte: what the shell would say.
    static let exit = UInt8(ascii: "X")
    /// A text for people.
    static let refusal = UInt8(ascii: "E")

    /// More than any real environment with its command line has; what many connections hold stays small.
    static let maxRequest = 256 << 10
    static let maxRefusal = 1 << 10

    /// SIGTSTP is not among them: a stopped client leaves its command running.
    static let signals: [Int32] = [1, 2, 3, 10, 12, 15, 28]
    static let defaultSocket = "/computesdk/run/sudo.sock"
}
