import CLinux
import Glibc

extension ProcessOrder {
    /// Starts it and waits until its program runs. `pid` is filled in before anything of it can have ended.
    func start(
        input: Int32, output: Int32, error: Int32, pid: StartedPID
    ) throws(SpawnFailure) {
        guard firstNUL == nil else { throw SpawnFailure(.arguments, .init(errno: EINVAL)) }
        let result = withCStrings { paths, argv, envp, companion -> Result<Void, SpawnFailure> in
            var spawn = clinux_spawn()
            spawn.paths = UnsafePointer(paths)
            spawn.argv = UnsafePointer(argv)
            spawn.envp = UnsafePointer(envp)
            if let beside = self.companion {
                spawn.companion = UnsafePointer(companion)
                spawn.companion_fd = beside.input.raw
            }
            spawn.stdin_fd = input
            spawn.stdout_fd = output
            spawn.stderr_fd = error
            switch group {
            case .newGroup: break
            case .newSession: spawn.new_session = 1
            case .newSessionWithTerminal:
                spawn.new_session = 1
                spawn.controlling_terminal = 1
            }
            spawn.umask = mode_t(fileModeMask)
            spawn.process_limit = processLimit ?? -1
            spawn.file_limit_soft = fileLimit?.soft ?? -1
            spawn.file_limit_hard = fileLimit?.hard ?? -1
            spawn.no_core = coreFiles ? 0 : 1
            spawn.parent_death_signal = parentDeathSignal ?? 0

            func startNow() -> Result<Void, SpawnFailure> {
                var failure = clinux_spawn_failure()
                return clinux_start(&spawn, pid.cell, &failure) == 0 ? .success(()) : .failure(SpawnFailure(failure))
            }
            func withGroups() -> Result<Void, SpawnFailure> {
                guard let identity else { return startNow() }
                spawn.change_identity = 1
                spawn.uid = identity.uid
                spawn.gid = identity.gid
                return identity.supplementary.withUnsafeBufferPointer { groups in
                    spawn.groups = groups.baseAddress
                    spawn.group_count = groups.count
                    return startNow()
                }
            }
            guard let directory else { return withGroups() }
            return directory.withCString { path in
                spawn.directory = path
                return withGroups()
            }
        }
        return try result.get()
    }

    private typealias Strings = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    private func withCStrings<R>(_ body: (Strings, Strings, Strings, Strings) -> R) -> R {
        func table(_ strings: [String]) -> Strings {
            let table = Strings.allocate(capacity: strings.count + 1)
            for (index, string) in strings.enumerated() { table[index] = strdup(string) }
            table[strings.count] = nil
            return table
        }
        func release(_ table: Strings) {
            var entry = table
            while let string = entry.pointee {
                free(string)
                entry += 1
            }
            table.deallocate()
        }
        let paths = table(candidates)
        let argv = table(arguments)
        let envp = table(environment.map { "\($0.key)=\($0.value)" })
        let beside = table(companion?.words ?? [])
        defer {
            release(paths)
            release(argv)
            release(envp)
            release(beside)
        }
        return body(paths, argv, envp, beside)
    }
}

/// Where the kernel writes the number of a process that is being started, while its starter waits.
///
/// `@unchecked`: the cell is written by the kernel, once, and read atomically by whoever asks.
final class StartedPID: @unchecked Sendable {
    fileprivate let cell: UnsafeMutablePointer<pid_t>

    init() {
        cell = .allocate(capacity: 1)
        cell.initialize(to: 0)
    }

    deinit { cell.deallocate() }

    /// nil: there is no process yet.
    var value: Int32? {
        let pid = clinux_started_pid(cell)
        return pid == 0 ? nil : pid
    }
}

extension SpawnFailure {
    fileprivate init(_ failure: clinux_spawn_failure) {
        let step: Step =
            switch clinux_spawn_step(rawValue: UInt32(failure.step)) {
            case clinux_step_fork: .fork
            case clinux_step_session: .session
            case clinux_step_stdio: .standardStreams
            case clinux_step_terminal: .terminal
            case clinux_step_limits: .limits
            case clinux_step_groups: .groups
            case clinux_step_gid: .gid
            case clinux_step_uid: .uid
            case clinux_step_verify: .verifyIdentity
            case clinux_step_directory: .directory
            case clinux_step_parent: .parent
            case clinux_step_exec: .execute
            default: .fork
            }
        self.init(step, .init(errno: failure.error))
    }
}
