import ComputeCore
import ComputeRuntime
import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage

/// The Sidekick of a member with process isolation, as a process of this machine.
///
/// It is in a session of its own, so that Ctrl-C in our terminal does not reach it, and it lives on when we are
/// killed: nothing it needs hangs on us. Its stderr is a file for that reason; a pipe would break with us.
enum MemberProcess {
    enum Event: Sendable {
        case started(ProcessIdentity)
        case ready
    }

    /// Runs the Sidekick until it ends; the events come in the order of the cases, at most once each.
    static func run(
        _ directory: MemberDirectory, on disk: ProcessDisk, executable: String, claimKey: String,
        onEvent: @Sendable (Event) -> Void
    ) async throws -> TerminationStatus {
        let log = try FileDescriptor.open(
            FilePath(directory.log), .writeOnly, options: [.create, .append, .noFollow, .closeOnExec],
            permissions: .ownerReadWrite)
        var options = PlatformOptions()
        options.createSession = true
        let outcome = try await Subprocess.run(
            .path(FilePath(executable)),
            arguments: Arguments([
                "--listen", directory.processMember.sidekick.description,
                "--internal-listen", directory.processMember.sidekickInternal.description,
                "--member", directory.name.rawValue,
                "--claim-key", claimKey,
                "--state-dir", directory.state,
                "--keep-dir", disk.keep,
                "--home", disk.home,
            ]),
            environment: .custom(environment),
            workingDirectory: FilePath(disk.home),
            platformOptions: options,
            input: .none,
            output: .sequence,
            error: .fileDescriptor(log, closeAfterSpawningProcess: true)
        ) { execution in
            guard let process = ProcessIdentity(pid: execution.processIdentifier.value) else { return }
            onEvent(.started(process))
            var isReady = false
            // Read to the end also after the one line that matters: a pipe that fills would stop the Sidekick.
            for try await line in execution.standardOutput.strings(bufferingPolicy: .maxLineLength(64 << 10)) {
                guard !isReady, let ready = try? JSONDecoder().decode(ReadyLine.self, from: Data(line.utf8)),
                    ready.ready
                else { continue }
                isReady = true
                onEvent(.ready)
            }
        }
        return outcome.terminationStatus
    }

    /// Nothing of ours: our environment holds keys. Only where programs are is the machine's.
    private static var environment: [Environment.Key: String] {
        let path = getenv("PATH").map { String(cString: $0) }
        return ["PATH": path ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"]
    }

    /// What the Sidekick prints once both of its listeners accept connections.
    private struct ReadyLine: Decodable { var ready: Bool }
}
