package import ComputeCore
package import Crypto
import FoundationEssentials
import SidekickProtocol

package enum SidekickVersion {
    package static let current = "0.1.0"
}

/// What a Sidekick is started with. A flag wins over its environment variable (`--state-dir`, `SIDEKICK_STATE_DIR`).
package struct SidekickSettings: Sendable {
    package var listen: Endpoint
    package var internalListen: Endpoint
    package var member: MemberName
    package var claimKey: Curve25519.Signing.PublicKey
    package var stateDirectory: String
    /// What outlives this Sidekick on the compute's disk; the state directory where nobody names another one.
    package var keepDirectory: String
    package var user: String?
    package var home: String?
    /// RLIMIT_NPROC of user code.
    package var maxProcesses: Int?
    /// Bytes of the whole compute; what exceeds them is killed.
    package var memoryLimit: Int?
    /// Where `sudo` inside finds us; nil: there is none.
    package var sudoSocket: String?
    /// The file with the image's variables, see `ImageEnvironment`; nil: there is no image.
    package var imageEnvironment: String?

    /// The one place where the settings are described; `--help` prints it.
    package static let usage = """
        usage: sidekick [options]

          --listen ENDPOINT           where the Gateway reaches it: 127.0.0.1:18080 or unix:/path (default 127.0.0.1:18080)
          --internal-listen ENDPOINT  where the API claims it; the Gateway must not map it to anything
          --member NAME               the member's random name, never reused
          --claim-key BASE64URL       the API's Ed25519 public key, 32 bytes
          --state-dir DIR             where the claim is recorded; made with mode 0700
          --keep-dir DIR              what the next Sidekick on the same disk goes on with: servers, overlays, children, and
                                      what the claim gave but for secrets (default: the state directory)
          --user NAME|UID[:GID]       who user code runs as; absent: the Sidekick's own account. A UID need not be in the
                                      image's /etc/passwd (GID then defaults to the same number, the home to /home/user),
                                      and "user" is 1000:1000 where the image does not know that name
          --home DIR                  the user's home; default: the account's. Made when it is missing
          --max-processes N           how many processes the user may have at once; not the Sidekick, and not root
          --memory-limit BYTES        at 95 % of it the largest process group below the Sidekick is killed
          --sudo-socket PATH          runs commands as root for the user, whose `sudo` this executable is under that name
          --image-env FILE            what the image sets for its programs: NAME=value, each ended by a NUL
          --version                   prints the version
          --help                      prints this

        Each option has an environment variable: --state-dir is SIDEKICK_STATE_DIR.
        """

    package enum Parsed: Sendable {
        case run(SidekickSettings)
        /// Print it on stdout and exit 0.
        case show(String)
        /// Print it on stderr and exit 64.
        case refuse(String)
    }

    package static func parse(arguments: [String], environment: [String: String]) -> Parsed {
        do throws(Refusal) {
            return try read(arguments, environment)
        } catch {
            return .refuse(error.message)
        }
    }

    private struct Refusal: Error {
        let message: String
        init(_ message: String) { self.message = message }
    }

    private static let options = [
        "listen", "internal-listen", "member", "claim-key", "state-dir", "keep-dir", "user", "home", "max-processes",
        "memory-limit", "sudo-socket", "image-env",
    ]

    private static func read(_ arguments: [String], _ environment: [String: String]) throws(Refusal) -> Parsed {
        var values: [String: String] = [:]
        for name in options {
            let variable = "SIDEKICK_" + name.uppercased().replacing("-", with: "_")
            if let value = environment[variable], !value.isEmpty { values[name] = value }
        }
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--version" { return .show(SidekickVersion.current) }
            if argument == "--help" { return .show(usage) }
            guard argument.hasPrefix("--") else { throw Refusal("unexpected argument \"\(argument)\"") }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard options.contains(name) else { throw Refusal("unknown option --\(name)") }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst(), !value.isEmpty else {
                throw Refusal("--\(name) needs a value")
            }
            values[name] = value
        }

        func required(_ name: String) throws(Refusal) -> String {
            guard let value = values[name] else { throw Refusal("--\(name) is required") }
            return value
        }
        func endpoint(_ name: String, _ text: String) throws(Refusal) -> Endpoint {
            guard let endpoint = Endpoint(text) else {
                throw Refusal("--\(name) must be host:port or unix:/path, not \"\(text)\"")
            }
            return endpoint
        }
        func absolute(_ name: String, _ path: String) throws(Refusal) -> String {
            guard path.hasPrefix("/") else { throw Refusal("--\(name) must be an absolute path, not \"\(path)\"") }
            return path
        }
        func number(_ name: String, from smallest: Int) throws(Refusal) -> Int? {
            guard let text = values[name] else { return nil }
            guard let number = Int(text), number >= smallest, number <= 1 << 50 else {
                throw Refusal("--\(name) must be a whole number of at least \(smallest), not \"\(text)\"")
            }
            return number
        }

        let keyText = try required("claim-key")
        guard let keyBytes = [UInt8](base64URL: keyText), keyBytes.count == 32,
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: keyBytes)
        else { throw Refusal("--claim-key must be the 32 bytes of an Ed25519 public key in base64url") }
        let stateDirectory = try absolute("state-dir", try required("state-dir"))
        return .run(
            SidekickSettings(
                listen: try endpoint(
                    "listen", values["listen"] ?? "127.0.0.1:\(SidekickPorts.requests)"),
                internalListen: try endpoint("internal-listen", try required("internal-listen")),
                member: MemberName(try required("member")), claimKey: key,
                stateDirectory: stateDirectory,
                keepDirectory: try absolute("keep-dir", values["keep-dir"] ?? stateDirectory), user: values["user"],
                home: try values["home"].map { (home) throws(Refusal) in try absolute("home", home) },
                maxProcesses: try number("max-processes", from: 1),
                // Less would be below what the Sidekick itself needs.
                memoryLimit: try number("memory-limit", from: 16 << 20),
                sudoSocket: try values["sudo-socket"].map { (path) throws(Refusal) in
                    try absolute("sudo-socket", path)
                },
                imageEnvironment: try values["image-env"].map { (path) throws(Refusal) in
                    try absolute("image-env", path)
                }))
    }
}
