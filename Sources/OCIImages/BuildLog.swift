/// Follows what `mmdebstrap --verbose` writes, and says how far it is: each package is fetched, unpacked and set up with
/// one line each, and apt says before how many there are.
package struct BuildLog: Sendable {
    package init() {}

    private enum Step { case starting, lists, fetching, extracting, essential, installing, tidying }
    private var step = Step.starting
    private var packages = 0
    private var lines = 0
    private var unfinished = ""

    /// - Returns: the state after these bytes, when they changed it.
    package mutating func read(_ text: String) -> ImageProgress? {
        unfinished += text
        let parts = unfinished.split(separator: "\n", omittingEmptySubsequences: false)
        unfinished = String(parts.last ?? "")
        let before = progress
        for line in parts.dropLast() { read(line: line) }
        return progress == before ? nil : progress
    }

    package var progress: ImageProgress {
        switch step {
        case .starting: ImageProgress("base image: starting")
        case .lists: ImageProgress("base image: reading package lists")
        case .fetching: ImageProgress("base image: downloading packages", fraction: share(of: packages))
        case .extracting: ImageProgress("base image: extracting packages")
        case .essential: ImageProgress("base image: installing essential packages", fraction: share(of: 2 * packages))
        case .installing: ImageProgress("base image: installing packages", fraction: share(of: 3 * packages))
        case .tidying: ImageProgress("base image: tidying up")
        }
    }

    /// Whole percents, so that a state is reported a hundred times at most.
    private func share(of total: Int) -> Double? {
        total > 0 ? Double(min(100, lines * 100 / total)) / 100 : nil
    }

    private mutating func read(line: Substring) {
        if line.hasPrefix("I: running apt-get update") {
            enter(.lists)
        } else if line.hasPrefix("I: downloading packages") {
            enter(.fetching)
        } else if line.hasPrefix("I: extracting") {
            enter(.extracting)
        } else if line.hasPrefix("I: installing essential") {
            enter(.essential)
        } else if line.hasPrefix("I: installing remaining") {
            enter(.installing)
        } else if line.hasPrefix("I: cleaning") || line.hasPrefix("I: running --customize-hook") {
            enter(.tidying)
        } else if line.contains(" newly installed, "), let words = line.split(separator: ",").dropFirst().first,
            let number = words.split(separator: " ").first.flatMap({ Int($0) })
        {
            packages = number
        } else if line.hasPrefix("Unpacking ") || line.hasPrefix("Setting up ") || line.hasPrefix("Get:") {
            lines += 1
        }
    }

    private mutating func enter(_ next: Step) {
        step = next
        lines = 0
        // The essential packages are those that were fetched before; the remaining ones apt counts anew.
        if next == .installing { packages = 0 }
    }
}
