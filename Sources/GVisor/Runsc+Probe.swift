import Glibc
package import LinuxHost

extension Runsc {
    /// Finds out how gVisor runs on this machine, by starting small containers.
    /// - Parameters:
    ///   - executable: nil for the `runsc` on the search path.
    ///   - root: where runsc is to keep what it knows of its containers; made if need be.
    ///   - memory: a file that keeps what was found; while executable, kernel and `platform` stay, nothing is started again.
    ///   - platform: nil or `auto` for the best that works; else names in the order to try, with commas between them.
    /// - Throws: `unavailable` with the reason when nothing can be started. Nothing is left behind either way.
    package static func probe(
        executable: String?, root: String, memory: String? = nil, platform: String?, tools: Tools
    ) async throws(RunscError) -> Runsc {
        guard geteuid() == 0 else {
            throw RunscError(.unavailable, "gVisor needs root on this machine: it makes namespaces and control groups")
        }
        let name = executable ?? "runsc"
        guard let path = tools.path(of: name) else {
            throw RunscError(.unavailable, "there is no \(name) on this machine")
        }
        let remembered = memory.map(ProbeMemory.init(file:))
        let circumstances = ProbeMemory.Circumstances(executable: path, platform: platform)
        if let circumstances, let abilities = remembered?.recall(circumstances) {
            return Runsc(executable: path, root: root, abilities: abilities, tools: tools)
        }
        let help = try await help(of: path, tools)
        guard help.options.contains("ignore-cgroups") else {
            throw RunscError(.unavailable, "\(path) \(help.version) is too old: it has no --ignore-cgroups")
        }
        let candidates = help.candidates(platform)
        guard !candidates.isEmpty else {
            let known = help.platforms.joined(separator: ", ")
            throw RunscError(.unavailable, "\(path) knows no platform \(platform ?? "auto"), only \(known)")
        }
        guard mkdir(root, 0o700) == 0 || errno == EEXIST else {
            throw RunscError(.unavailable, "\(root) cannot be made: \(String(cString: strerror(errno)))")
        }

        await TrialContainer.removeLeftovers(below: root)

        var failures: [String] = []
        for platform in candidates {
            // Its own network stack keeps the host's out of reach. Builds that misread this kernel's tables refuse to
            // start with it; those get the host's, inside a namespace of the container.
            for network in ["sandbox", "host"] {
                let abilities = Abilities(
                    version: help.version, platform: platform, network: network, checkpoint: false, flags: help.flags)
                do {
                    let checkpoint = try await TrialContainer(
                        runsc: path, abilities: abilities, folder: root, tools: tools
                    ).run()
                    var found = abilities
                    found.checkpoint = checkpoint
                    if let circumstances { remembered?.keep(found, circumstances) }
                    return Runsc(executable: path, root: root, abilities: found, tools: tools)
                } catch {
                    if error.code == .cancelled { throw error }
                    failures.append("\(platform) with network \(network): \(error)")
                    // What hangs does not hang for the sake of its network.
                    if error.code == .deadlineExceeded { break }
                }
            }
        }
        throw RunscError(
            .unavailable, "\(path) \(help.version) starts no container here: \(failures.joined(separator: "; "))")
    }

    private static func help(of path: String, _ tools: Tools) async throws(RunscError) -> RunscHelp {
        do {
            let version = try await tools.run(path, ["--version"], deadline: .seconds(10))
            // It writes its help to stderr, of which only the end is kept.
            let flags = try await tools.run("sh", ["-c", #"exec "$0" flags 2>&1"#, path], deadline: .seconds(10))
            return RunscHelp(version: version.standardOutput, flags: flags.standardOutput)
        } catch {
            throw RunscError(.unavailable, "\(path) is no runsc that works: \(error)", cause: error)
        }
    }
}
