/// What a build of `runsc` says of itself. Pure.
package struct RunscHelp: Hashable {
    package var version: String
    /// Names of the options before the subcommand.
    package var options: Set<String>
    /// As the help of `--platform` lists them.
    package var platforms: [String]

    /// - Parameters:
    ///   - version: what `runsc --version` prints: `runsc version 0.0~20240729.0`, then other lines.
    ///   - flags: what `runsc flags` prints: `  -name type`, then the words about it, indented further.
    package init(version: String, flags: String) {
        let first = version.split(separator: "\n").first ?? ""
        self.version = String(first.split(separator: " ").last ?? "unknown")
        options = []
        platforms = []
        var option = ""
        for line in flags.split(separator: "\n") {
            if line.hasPrefix("  -") {
                option = String(line.dropFirst(3).prefix { $0 != " " && $0 != "\t" })
                options.insert(option)
            } else if option == "platform", let colon = line.firstIndex(of: ":") {
                // "specifies which platform to use: systrap (default), ptrace, kvm. (default "systrap")"
                let list = line[line.index(after: colon)...].prefix { $0 != "." }
                platforms = list.split(separator: ",").compactMap { $0.split(separator: " ").first.map(String.init) }
            }
        }
    }

    /// The options that every container is run with, of those that this build knows.
    package var flags: [String] {
        var flags: [String] = []
        func add(_ option: String, _ value: String) {
            if options.contains(option) { flags.append("--\(option)=\(value)") }
        }
        // Groups are ours: runsc only knows some of the layouts, and removes what it did not make.
        add("ignore-cgroups", "true")
        // A layer in memory or in the root file system beside our own would escape the disk limit.
        options.contains("overlay2") ? add("overlay2", "none") : add("overlay", "false")
        // Nobody else writes to the root file system while the container runs.
        add("file-access", "exclusive")
        // What else is mounted outlives the container: a write is with the host when it is answered, and what one
        // container writes others see.
        add("file-access-mounts", "shared")
        // Said although they are the defaults: each opens something of the host.
        add("host-uds", "none")
        add("host-fifo", "none")
        add("net-raw", "false")
        add("allow-flag-override", "false")
        // `sudo` inside. It raises a user to root of the container, whose rights end there. Older builds have no set-uid.
        add("allow-suid", "true")
        return flags
    }

    /// Which platforms to try, best first.
    /// - Parameter wanted: names with commas between them; nil or `auto` for those that work without hardware help.
    ///   `kvm` is never tried unasked: where it is offered and does not work it hangs.
    package func candidates(_ wanted: String?) -> [String] {
        let names =
            switch wanted {
            case nil, "", "auto": ["systrap", "ptrace"]
            case let wanted?: wanted.split(separator: ",").map(String.init)
            }
        return names.flatMap { $0 == "auto" ? ["systrap", "ptrace"] : [$0] }.filter(platforms.contains)
    }
}
