import FoundationEssentials
import Glibc
import LinuxSystem

/// What the executable is when it is called `sudo`: asks the Sidekick for a command as root, and ends as it did.
enum SudoMain {
    static func isMeant(by program: String?) -> Bool { program?.split(separator: "/").last == "sudo" }

    /// Never returns.
    static func run() -> Never {
        SignalRelay.block(ElevationFrame.signals)
        var arguments: [String] = []
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let raw = CommandLine.unsafeArgv[index] else { break }
            // A name that were mended on the way would be another file's.
            guard let argument = String(validatingCString: raw) else { fail("sudo: an argument is not UTF-8\n") }
            arguments.append(argument)
        }
        switch SudoOptions.parse(arguments) {
        case .show(let text):
            if !text.isEmpty { print(text) }
            exit(0)
        case .refuse(let text): fail(text)
        case .run(let request): run(request)
        }
    }

    private static func run(_ request: ElevationRequest) -> Never {
        var request = request
        request.environment = ProcessInfo.processInfo.environment
        let socket = request.environment.removeValue(forKey: "SIDEKICK_SUDO_SOCKET") ?? ElevationFrame.defaultSocket
        let own = workingDirectory()
        request.fileModeMask = umask(0)
        if let asked = request.directory, !asked.hasPrefix("/"), let own {
            request.directory = "\(own)/\(asked)"
        } else if request.directory == nil {
            request.directory = own
        }
        guard let body = try? JSONEncoder().encode(request), body.count <= ElevationFrame.maxRequest else {
            fail("sudo: the command and its environment are too long\n")
        }
        let connection: LocalConnection
        do throws(LinuxSystemError) {
            connection = try LocalConnection.connect(to: socket)
        } catch {
            fail("sudo: the Sidekick does not answer: \(error)\n")
        }
        // It may have been turned away already; why is what it reads then.
        try? connection.send(.init(ElevationFrame.request, Array(body)), descriptors: standardStreams())
        // The main thread takes the signals; this one inherits that they are blocked.
        do throws(LinuxSystemError) {
            try OwnThread.start("answer") { finish(connection) }
        } catch {
            fail("sudo: \(error)\n")
        }
        SignalRelay.run { number in
            guard ElevationFrame.signals.contains(number) else { return }
            connection.sendWithoutWaiting(.init(ElevationFrame.signal, [UInt8(number)]))
        }
    }

    private static func finish(_ connection: LocalConnection) -> Never {
        guard let frame = try? connection.receive(limit: ElevationFrame.maxRefusal) else {
            fail("sudo: the Sidekick has gone\n")
        }
        if frame.kind == ElevationFrame.exit, let code = frame.bytes.first { exit(Int32(code)) }
        fail("sudo: \(String(decoding: frame.bytes, as: UTF8.self))\n")
    }

    /// A stream that is closed stays closed as far as its command can tell: there is nothing behind it.
    private static func standardStreams() -> [Int32] {
        [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO].map { descriptor in
            fcntl(descriptor, F_GETFD) >= 0 ? descriptor : (try? openNullDevice()) ?? descriptor
        }
    }

    private static func workingDirectory() -> String? {
        guard let path = getcwd(nil, 0) else { return nil }
        defer { free(path) }
        return String(validatingCString: path)
    }

    private static func fail(_ text: String) -> Never {
        let bytes = Array(text.utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
        exit(1)
    }
}
