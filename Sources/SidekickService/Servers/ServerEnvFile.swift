import ComputeCore
import LinuxSystem

/// The variables of a server's `env_file`, read anew at every start.
package enum ServerEnvFile {
    /// Blocking, with the rights of the thread.
    /// - Throws: a 400 naming `env_file`.
    static func read(_ path: String) throws(Problem) -> [String: String] {
        do throws(LinuxSystemError) {
            return variables(try FileTree.read(path, limit: EnvFileService.maxFileBytes).1)
        } catch {
            throw .invalid("env_file", "env_file \(path): \(error.reason)")
        }
    }

    /// Without those that no process can be given.
    package static func variables(_ bytes: [UInt8]) -> [String: String] {
        DotEnv(bytes).variables.filter { !$0.value.utf8.contains(0) }
    }
}
