package import ComputeCore

/// What a user's process finds in its environment. Nothing of the Sidekick's own comes through: that may hold settings.
package enum ProcessEnvironment {
    package static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// The base, then the compute's, which has the image's in it, then the call's: the later wins.
    package static func make(
        user: UserIdentity, shell: String, compute: [String: String], call: [String: String] = [:],
        terminal: Bool = false
    ) -> [String: String] {
        var environment = [
            "PATH": searchPath, "HOME": user.home, "USER": user.name, "LOGNAME": user.name, "SHELL": shell,
        ]
        // What every terminal emulator of the web understands.
        if terminal { environment["TERM"] = "xterm-256color" }
        environment.merge(compute) { _, later in later }
        environment.merge(call) { _, later in later }
        // Text is UTF-8. All else of C.UTF-8 is as in C, so LANG would only make every shell read a dozen files more.
        if !["LANG", "LC_ALL", "LC_CTYPE"].contains(where: environment.keys.contains) {
            environment["LC_CTYPE"] = "C.UTF-8"
        }
        return environment
    }

    /// - Throws: a 400 that names the variable, when the kernel could not carry it.
    package static func validate(_ variables: [String: String], field: String) throws(Problem) {
        for (name, value) in variables {
            guard !name.isEmpty, !name.utf8.contains(where: { $0 == UInt8(ascii: "=") || $0 == 0 }) else {
                throw .invalid("\(field).\(name)", "\(field) has a name that is empty or contains '=' or NUL")
            }
            guard !value.utf8.contains(0) else {
                throw .invalid("\(field).\(name)", "\(field).\(name) must not contain NUL")
            }
        }
    }
}
