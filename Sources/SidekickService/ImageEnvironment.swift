import Glibc
import LinuxSystem

/// The variables that an image sets for its programs. They come in a file: as variables of the Sidekick itself they
/// could be settings of it, or of whatever it is linked with.
package enum ImageEnvironment {
    /// Who runs and where at home is the account's to say, whatever an image was made for.
    private static let namesOfTheAccount: Set = ["HOME", "USER", "LOGNAME", "SHELL"]

    /// - Parameter path: absent where there is no image.
    static func read(_ path: String?) throws(SidekickStartError) -> [String: String] {
        guard let path else { return [:] }
        do throws(LinuxSystemError) {
            return variables(try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW).readAll(upTo: 1 << 20, path))
        } catch {
            throw SidekickStartError("the image's environment cannot be read (--image-env)", cause: error)
        }
    }

    /// - Parameter bytes: `NAME=value`, each ended by a NUL, as in `/proc/<pid>/environ`. Strangers made the image: what
    ///   is none is left out, and of two with one name the later counts.
    package static func variables(_ bytes: [UInt8]) -> [String: String] {
        var variables: [String: String] = [:]
        for entry in bytes.split(separator: 0) {
            guard let end = entry.firstIndex(of: UInt8(ascii: "=")), end > entry.startIndex else { continue }
            let name = String(decoding: entry[..<end], as: UTF8.self)
            guard !namesOfTheAccount.contains(name) else { continue }
            variables[name] = String(decoding: entry[(end + 1)...], as: UTF8.self)
        }
        return variables
    }
}
