import CLinux
import Glibc

extension ProcessOrder {
    /// Forks; the child goes on by itself. The caller waits for `awaitExec` afterwards, outside any lock.
    func fork(
        input: Int32, output: Int32, error: Int32, report: inout Int32
    ) throws(SpawnFailure) -> Int32 {
        guard firstNUL == nil else { throw SpawnFailure(.arguments, .init(errno: EINVAL)) }
        let result = withCStrings { paths, argv, envp -> Result<Int32, SpawnFailure> in
            var spawn = clinux_spawn()
            spawn.paths = UnsafePointer(paths)
            spawn.argv = UnsafePointer(argv)
            spawn.envp = UnsafePointer(envp)
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
            spawn.process_limit = processLimit ?? -1
            spawn.no_core = coreFiles ? 0 : 1
            spawn.parent_death_signal = parentDeathSignal ?? 0

            func forkNow() -> Result<Int32, SpawnFailure> {
                var failure = clinux_spawn_failure()
                let pid = clinux_fork(&spawn, &report, &failure)
                return pid > 0 ? .success(pid) : .failure(SpawnFailure(failure))
            }
            func withGroups() -> Result<Int32, SpawnFailure> {
                guard let identity else { return forkNow() }
                spawn.change_identity = 1
                spawn.uid = identity.uid
                spawn.gid = identity.gid
                return identity.supplementary.withUnsafeBufferPointer { groups in
                    spawn.groups = groups.baseAddress
                    spawn.group_count = groups.count
                    return forkNow()
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

    static func awaitExec(report: Int32) throws(SpawnFailure) {
        var failure = clinux_spawn_failure()
        guard clinux_await_exec(report, &failure) == 0 else { throw SpawnFailure(failure) }
    }

    private typealias Strings = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    private func withCStrings<R>(_ body: (Strings, Strings, Strings) -> R) -> R {
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
        defer {
            release(paths)
            release(argv)
            release(envp)
        }
        return body(paths, argv, envp)
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
            default: .prepare
            }
        self.init(step, .init(errno: failure.error))
    }
}
