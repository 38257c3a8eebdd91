import LinuxSystem

/// What a request comes to: the process to start, or what to tell the caller. Decides; touches nothing.
///
/// There is nothing to forbid: the compute's user may become anybody in it. The rules are those of `sudo`, for the
/// habits of people and scripts.
struct ElevationPlan {
    struct Refusal: Error {
        let message: String
        init(_ message: String) { self.message = message }
    }

    let sender: AccountFiles.Account
    let accounts: AccountFiles

    /// - Parameter user: the compute's, who need not have an account in the image.
    init(senderUID: UInt32, user: UserIdentity, accounts: AccountFiles) {
        self.accounts = accounts
        let isUser = senderUID == user.ids?.uid
        sender =
            accounts.account(uid: senderUID)
            ?? AccountFiles.Account(
                name: isUser ? user.name : "#\(senderUID)", uid: senderUID, gid: user.ids?.gid ?? senderUID,
                home: user.home, shell: user.shell)
    }

    func order(_ request: ElevationRequest) throws(Refusal) -> ProcessOrder {
        let target = try target(request.user)
        let shell: String
        switch request.form {
        case .command, .login: shell = Self.shell(target.shell)
        case .shell: shell = Self.shell(request.environment["SHELL"] ?? target.shell)
        }
        let program: String
        var arguments = request.arguments
        switch request.form {
        case .command:
            guard let first = arguments.first, !first.isEmpty else { throw Refusal("there is no command") }
            program = first
        case .shell, .login:
            program = shell
            let name = shell.split(separator: "/").last ?? "sh"
            let command = arguments.isEmpty ? [] : ["-c", arguments.map(Self.quoted).joined(separator: " ")]
            arguments = [request.form == .login ? "-\(name)" : shell] + command
        }
        var order = ProcessOrder(
            program: program, arguments: arguments,
            environment: environment(request, target, program: program, arguments: arguments),
            searchPath: ProcessEnvironment.searchPath)
        if let directory = request.form == .login ? target.home : request.directory {
            guard directory.hasPrefix("/") else { throw Refusal("\(directory) is not an absolute path") }
            order.directory = directory
        } else {
            order.directory = "/"
        }
        order.identity = .init(
            uid: target.uid, gid: target.gid, supplementary: accounts.groupIDs(of: target))
        order.group = .newSession
        order.fileModeMask |= request.fileModeMask & 0o777
        return order
    }

    private func target(_ text: String) throws(Refusal) -> AccountFiles.Account {
        if text.hasPrefix("#") {
            guard let uid = UInt32(text.dropFirst()), uid != .max else { throw Refusal("unknown user \(text)") }
            return accounts.account(uid: uid)
                ?? AccountFiles.Account(name: text, uid: uid, gid: sender.gid, home: "/", shell: "/bin/sh")
        }
        if let account = accounts.account(named: text) { return account }
        guard text == "root" else { throw Refusal("unknown user \(text)") }
        // An image without account files has a root all the same.
        return AccountFiles.Account(name: "root", uid: 0, gid: 0, home: "/root", shell: "/bin/sh")
    }

    private func environment(
        _ request: ElevationRequest, _ target: AccountFiles.Account, program: String, arguments: [String]
    ) -> [String: String] {
        let keepsAll = request.keepsEnvironment && request.form != .login
        var environment = request.environment.filter { name, _ in
            keepsAll || Self.isKept(name) || request.keptNames.contains(name)
        }
        func set(_ name: String, _ value: String, over: Bool = true) {
            if over || environment[name] == nil { environment[name] = value }
        }
        // Whatever is kept, a command is looked for where root's are.
        set("PATH", ProcessEnvironment.searchPath)
        set("HOME", target.home, over: request.setsHome || !keepsAll && !request.keptNames.contains("HOME"))
        set("SHELL", request.form == .shell ? arguments[0] : Self.shell(target.shell), over: !keepsAll)
        set("USER", target.name)
        set("LOGNAME", target.name)
        set("MAIL", "/var/mail/\(target.name)", over: !keepsAll)
        set("TERM", "unknown", over: false)
        set("SUDO_USER", sender.name)
        set("SUDO_UID", "\(sender.uid)")
        set("SUDO_GID", "\(sender.gid)")
        set("SUDO_COMMAND", ([program] + arguments.dropFirst()).joined(separator: " "))
        environment.merge(request.assignments) { _, assigned in assigned }
        return environment.filter { !$0.key.isEmpty && !$0.key.contains("=") }
    }

    private static func isKept(_ name: String) -> Bool {
        ["TERM", "LANG", "LANGUAGE", "COLORTERM", "DISPLAY"].contains(name) || name.hasPrefix("LC_")
    }

    /// An account that refuses logins can be used all the same, as commands of the compute are.
    private static func shell(_ path: String) -> String {
        let refuses = ["nologin", "false"].contains { path.hasSuffix("/\($0)") }
        return path.hasPrefix("/") && !refuses ? path : "/bin/sh"
    }

    /// So that a shell reads one word again. Variables are left to it, as `sudo -i` does.
    private static func quoted(_ word: String) -> String {
        var text = ""
        for scalar in word.unicodeScalars {
            let isPlain =
                scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "_-$".unicodeScalars.contains(scalar)
            // A backslash before a newline would take it away.
            text += scalar == "\n" ? "'\n'" : isPlain || !scalar.isASCII ? String(scalar) : "\\\(scalar)"
        }
        return text.isEmpty ? "''" : text
    }

    /// As the real one words it.
    static func refusal(_ failure: SpawnFailure, _ order: ProcessOrder) -> Refusal {
        let reason = LinuxSystemError(failure.code, failure.step.rawValue).reason
        if failure.step == .directory { return Refusal("cannot change to \(order.directory ?? "/"): \(reason)") }
        if failure.step == .execute, [.notFound, .accessDenied, .notDirectory].contains(failure.code) {
            return Refusal("\(order.program): command not found")
        }
        return Refusal("unable to execute \(order.program): \(reason)")
    }
}
