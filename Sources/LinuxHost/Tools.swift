import CLinux
import Glibc
import Subprocess
package import SystemPackage

/// Runs programs of this machine to their end: `ip`, `mount`, `nft`, CNI plugins, `runsc`, `skopeo`.
///
/// Each runs in a session of its own, with a deadline, and is killed with everything in its group when that passes
/// or the caller's task is cancelled: a helper that hangs costs time, never a place.
package struct Tools: Sendable {
    /// Folders that are searched, in order.
    package let searchPath: [String]

    /// - Parameter path: like `$PATH`. The folders of system programs are searched too, since the `$PATH` of a plain user
    ///   lacks them.
    package init(path: String) {
        let named = path.split(separator: ":").map(String.init)
        let system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        searchPath = named + system.filter { !named.contains($0) }
    }

    /// Searched along our own `$PATH`.
    package static var ofThisProcess: Tools { Tools(path: getenv("PATH").map { String(cString: $0) } ?? "") }

    package struct Output: Sendable {
        package var standardOutput: String
        /// Its last 4 KiB.
        package var standardError: String
    }

    /// The most that is read of what a program says; more fails the call.
    package static let maximumOutputBytes = 4 << 20

    /// - Returns: nil when there is none.
    package func path(of name: String) -> String? {
        if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
        return searchPath.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// Runs `name` with nothing of our environment but the search path and `environment`.
    /// - Parameters:
    ///   - name: a program on the search path, or a path.
    ///   - input: what it reads on stdin.
    ///   - deadline: from now. Killed then.
    /// - Throws: when it is missing, ends with anything but 0, or the deadline passes.
    @discardableResult
    package func run(
        _ name: String, _ arguments: [String], environment: [String: String] = [:], input: String = "",
        deadline: Duration = .seconds(20)
    ) async throws(ToolError) -> Output {
        guard let executable = path(of: name) else { throw ToolError(.missing, tool: name) }
        let words = Arguments(arguments)
        let variables = customEnvironment(environment)
        return try await bounded(name, deadline) {
            let source = try Self.source(of: input)
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: words, environment: variables,
                platformOptions: Self.ownSession, input: .fileDescriptor(source, closeAfterSpawningProcess: true),
                output: .string(limit: Self.maximumOutputBytes), error: .string(limit: Self.maximumOutputBytes))
            let output = Output(
                standardOutput: result.standardOutput, standardError: String(result.standardError.suffix(4096)))
            guard result.terminationStatus == .exited(0) else {
                let said = output.standardError.isEmpty ? output.standardOutput : output.standardError
                throw ToolError(.failed, tool: name, detail: "\(result.terminationStatus): \(said.suffix(1000))")
            }
            return output
        }
    }

    /// Runs `name` with files as its output. For programs that leave others behind which keep it open: nothing here
    /// waits for its end.
    package func run(
        _ name: String, _ arguments: [String], environment: [String: String] = [:],
        standardOutput: FileDescriptor, standardError: FileDescriptor, deadline: Duration = .seconds(20)
    ) async throws(ToolError) {
        guard let executable = path(of: name) else { throw ToolError(.missing, tool: name) }
        let words = Arguments(arguments)
        let variables = customEnvironment(environment)
        try await bounded(name, deadline) {
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: words, environment: variables,
                platformOptions: Self.ownSession, input: .none,
                output: .fileDescriptor(standardOutput, closeAfterSpawningProcess: false),
                error: .fileDescriptor(standardError, closeAfterSpawningProcess: false))
            guard result.terminationStatus == .exited(0) else {
                throw ToolError(.failed, tool: name, detail: "\(result.terminationStatus): ")
            }
        }
    }

    /// A file and no pipe: a program that ends without reading would turn our writing into SIGPIPE, which ends us.
    private static func source(of input: String) throws -> FileDescriptor {
        if input.isEmpty { return try FileDescriptor.open("/dev/null", .readOnly, options: .closeOnExec) }
        let number = clinux_memory_file("input")
        guard number >= 0 else { throw Errno(rawValue: -number) }
        let file = FileDescriptor(rawValue: number)
        do {
            // At an offset, which leaves the reader's place at the start.
            try file.writeAll(toAbsoluteOffset: 0, input.utf8)
            return file
        } catch {
            try? file.close()
            throw error
        }
    }

    private static var ownSession: PlatformOptions {
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [
            .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(100))
        ]
        return options
    }

    /// Cancels `work` at the deadline.
    private func bounded<Value: Sendable>(
        _ name: String, _ deadline: Duration, _ work: @escaping @Sendable () async throws -> Value
    ) async throws(ToolError) -> Value {
        let outcome = await withTaskGroup(of: Result<Value, ToolError>.self) { group in
            group.addTask {
                do {
                    return .success(try await work())
                } catch let error as ToolError {
                    return .failure(error)
                } catch {
                    return .failure(ToolError(.cannotRun, tool: name, detail: "\(error)"))
                }
            }
            group.addTask {
                do {
                    try await Task.sleep(for: deadline)
                } catch {
                    return .failure(ToolError(.cancelled, tool: name))
                }
                return .failure(ToolError(.deadlineExceeded, tool: name, detail: "after \(deadline)"))
            }
            defer { group.cancelAll() }
            return await group.next() ?? .failure(ToolError(.cancelled, tool: name))
        }
        return try outcome.get()
    }

    private func customEnvironment(_ extra: [String: String]) -> Environment {
        var variables: [Environment.Key: String] = ["PATH": searchPath.joined(separator: ":"), "LC_ALL": "C.UTF-8"]
        for (name, value) in extra { variables[.init(stringLiteral: name)] = value }
        return .custom(variables)
    }
}

package struct ToolError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// No such program on the search path.
        case missing
        /// It ended with another status than 0, or by a signal.
        case failed
        case deadlineExceeded
        /// The caller's task was cancelled.
        case cancelled
        case cannotRun
    }
    package var code: Code
    package var tool: String
    package var detail: String

    package init(_ code: Code, tool: String, detail: String = "") {
        self.code = code
        self.tool = tool
        self.detail = detail
    }

    package var description: String {
        switch code {
        case .missing: "there is no \(tool) on this machine"
        case .failed: "\(tool) failed: \(detail)"
        case .deadlineExceeded: "\(tool) did not end in time (\(detail))"
        case .cancelled: "\(tool) was given up"
        case .cannotRun: "\(tool) cannot be run: \(detail)"
        }
    }
}
