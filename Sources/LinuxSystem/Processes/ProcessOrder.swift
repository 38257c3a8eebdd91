/// A process to start: everything, and nothing inherited.
package struct ProcessOrder: Sendable {
    /// A name to look for in `searchPath`, or a path when it has a slash.
    package var program: String
    /// With the name of the program itself in front.
    package var arguments: [String]
    package var environment: [String: String]
    /// The value of a PATH; used only when `program` has no slash.
    package var searchPath: String
    /// nil: where the parent is.
    package var directory: String?
    /// nil: as the parent.
    package var identity: Identity?
    package var group: Group = .newSession
    /// A program that runs beside it in its session; nil: none.
    package var companion: Companion?
    /// RLIMIT_NPROC of the user; nil: as the parent.
    package var processLimit: Int?
    /// RLIMIT_NOFILE; nil: as the parent.
    package var fileLimit: FileLimit?
    /// The umask.
    package var fileModeMask: UInt32 = 0o022
    /// A core file may hold anything, and fills a disk.
    package var coreFiles = false
    /// Sent to the child when the thread that started it ends; nil: none. Only for children of a thread that lives as
    /// long as the process.
    package var parentDeathSignal: Int32?

    package init(program: String, arguments: [String], environment: [String: String], searchPath: String = "") {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.searchPath = searchPath
    }

    package struct Identity: Hashable, Sendable {
        package let uid: UInt32
        package let gid: UInt32
        package let supplementary: [UInt32]
        package init(uid: UInt32, gid: UInt32, supplementary: [UInt32]) {
            self.uid = uid
            self.gid = gid
            self.supplementary = supplementary
        }
    }

    /// Runs as the starter's account, with nothing but `input`, its descriptor 0. It has to fork and go on in its child, so
    /// that nobody has a child he did not start. One that does not run is no failure.
    package struct Companion: Sendable {
        /// With its path in front.
        package let words: [String]
        package let input: SharedDescriptor
        package init(words: [String], input: SharedDescriptor) {
            self.words = words
            self.input = input
        }
    }

    /// How many descriptors a process may open, and up to how many it may allow itself.
    package struct FileLimit: Hashable, Sendable {
        package let soft: Int
        package let hard: Int
        package init(soft: Int, hard: Int) {
            self.soft = soft
            self.hard = hard
        }
    }

    package enum Group: Sendable {
        /// Own process group in the parent's session.
        case newGroup
        /// Own session, without a terminal.
        case newSession
        /// Own session, whose terminal is descriptor 0.
        case newSessionWithTerminal
    }

    /// Where to look, in order.
    package var candidates: [String] {
        guard !program.contains("/") else { return [program] }
        return searchPath.split(separator: ":").map { "\($0)/\(program)" }
    }

    /// A string that would end early for the kernel: the first field that has a NUL.
    package enum NULLocation: Hashable, Sendable { case program, arguments, environment, directory }
    package var firstNUL: NULLocation? {
        func bad(_ text: String) -> Bool { text.utf8.contains(0) }
        if bad(program) || bad(searchPath) { return .program }
        if arguments.contains(where: bad) || companion?.words.contains(where: bad) == true { return .arguments }
        if environment.contains(where: { bad($0.key) || bad($0.value) }) { return .environment }
        if let directory, bad(directory) { return .directory }
        return nil
    }
}

/// Why a process was not started. Nothing of it ran.
package struct SpawnFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package let step: Step
    package let code: LinuxSystemError.Code

    package enum Step: String, Hashable, Sendable {
        case fork, session, standardStreams, terminal, limits, groups, gid, uid, verifyIdentity, directory,
            parent, execute
        /// A string with a NUL inside.
        case arguments
    }

    package init(_ step: Step, _ code: LinuxSystemError.Code) {
        self.step = step
        self.code = code
    }

    package var description: String {
        "\(step.rawValue): \(LinuxSystemError(code, step.rawValue).reason)"
    }
}
