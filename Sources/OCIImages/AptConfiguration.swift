import LinuxHost

/// How this machine reaches Debian: its mirrors and proxies are the site's, and no host is written down here.
package struct AptConfiguration: Sendable, Equatable {
    /// Lines of a sources.list, for one suite.
    package var sources: [String] = []
    /// Lines of an apt.conf that say how to fetch.
    package var options: [String] = []

    static let targetFormat = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"

    static func read(suite: String, tools: Tools) async -> AptConfiguration {
        let targets = try? await tools.run("apt-get", ["indextargets", "--format", targetFormat])
        let dump = try? await tools.run("apt-config", ["dump"])
        return AptConfiguration(
            suite: suite, targets: targets?.standardOutput ?? "", dump: dump?.standardOutput ?? "")
    }

    /// - Parameters:
    ///   - targets: what `apt-get indextargets` says in `targetFormat`. Only what calls itself Debian is taken: other
    ///     vendors' packages have no place in the image.
    ///   - dump: what `apt-config dump` says.
    package init(suite: String, targets: String, dump: String) {
        var found: [String] = []
        for line in targets.split(separator: "\n") {
            let fields = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 4, fields[0] == "Debian", fields[2] == "main",
                [suite, "\(suite)-updates", "\(suite)-security"].contains(fields[1]),
                fields[3].hasPrefix("http://") || fields[3].hasPrefix("https://")
            else { continue }
            let source = "deb \(fields[3]) \(fields[1]) main"
            if !found.contains(source) { found.append(source) }
        }
        // Updates alone install nothing.
        if found.contains(where: { $0.hasSuffix(" \(suite) main") }) { sources = found }

        let wanted = [
            "Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv",
        ]
        options = dump.split(separator: "\n").map(String.init)
            .filter { line in wanted.contains { line.hasPrefix($0) } && line.hasSuffix("\";") }
            .map { String($0.dropLast()) }
    }
}
