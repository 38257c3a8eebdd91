import FoundationEssentials
import Glibc
import LinuxSystem

/// What `cmd/sidekick` does: settings, run, exit code.
package enum SidekickMain {
    /// Never returns. Synchronous on purpose: the main thread of an asynchronous `main` waits in a call that takes
    /// signals whatever its mask says, and SIGTERM would end the process there and then.
    package static func run() -> Never {
        if SudoMain.isMeant(by: CommandLine.arguments.first) { SudoMain.run() }
        TerminationSignals.block()
        // Detached, because a plain task here would belong to the main actor, whose thread only waits from now on.
        Task.detached { await start() }
        while true { pause() }
    }

    private static func start() async -> Never {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch SidekickSettings.parse(arguments: arguments, environment: ProcessInfo.processInfo.environment) {
        case .show(let text):
            print(text)
            exit(0)
        case .refuse(let reason):
            let line = Array("sidekick: \(reason)\n".utf8)
            _ = write(STDERR_FILENO, line, line.count)
            exit(64)
        case .run(let settings):
            do {
                try await Sidekick(settings: settings).run { ready in
                    print(ready.line)
                    fflush(nil)
                }
                exit(0)
            } catch {
                SidekickLog.write(.error, "cannot run", ["reason": "\(error)"])
                exit(1)
            }
        }
    }
}
