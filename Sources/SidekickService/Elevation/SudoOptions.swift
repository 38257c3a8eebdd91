/// The command line of `sudo`, as much of it as has a meaning here.
enum SudoOptions: Hashable {
    case run(ElevationRequest)
    /// Print it on stdout and exit 0.
    case show(String)
    /// Print it on stderr and exit 1.
    case refuse(String)

    static let usage = """
        usage: sudo [-bEHnS] [-u user] [-D directory] [VAR=value] [-i | -s] [command [arg ...]]
               sudo -h | -V | -v | -k | -K | -l

          -b          run the command in the background
          -D DIR      run the command in this directory
          -E          keep the environment; --preserve-env=NAME,NAME keeps some of it
          -H          set HOME to that of the target
          -i          run a login shell of the target, or a command by it
          -s          run a shell, or a command by it
          -u USER     run the command as this user, or #UID, instead of root
          -n -S -A -P -B -p TEXT -k -K -v
                      accepted: no password is ever asked for
          -l          say what is allowed

        """

    static let version = "sudo of the Sidekick \(SidekickVersion.current)"

    static func parse(_ arguments: [String]) -> SudoOptions {
        var request = ElevationRequest()
        var rest = arguments[...]
        var isQuestion = false
        var forgets = false

        func refuse(_ reason: String) -> SudoOptions { .refuse("sudo: \(reason)\n\(usage)") }
        while let argument = rest.first, argument.hasPrefix("-"), argument != "-" {
            rest.removeFirst()
            if argument == "--" { break }
            if argument.hasPrefix("--") {
                let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                func value() -> String? { parts.count == 2 ? String(parts[1]) : rest.popFirst() }
                switch parts[0] {
                case "help": return .show(usage)
                case "version": return .show(version)
                case "validate": return .show("")
                case "list": isQuestion = true
                case "reset-timestamp", "remove-timestamp": forgets = true
                case "non-interactive", "stdin", "askpass", "bell", "preserve-groups": break
                case "background": request.isBackground = true
                case "set-home": request.setsHome = true
                case "login": request.form = .login
                case "shell": request.form = .shell
                case "preserve-env":
                    if parts.count == 2 {
                        request.keptNames += parts[1].split(separator: ",").map(String.init)
                    } else {
                        request.keepsEnvironment = true
                    }
                case "prompt": guard value() != nil else { return refuse("--prompt needs a value") }
                case "user":
                    guard let name = value() else { return refuse("--user needs a value") }
                    request.user = name
                case "chdir":
                    guard let path = value() else { return refuse("--chdir needs a value") }
                    request.directory = path
                default: return refuse("unrecognized option '\(argument)'")
                }
                continue
            }
            var letters = argument.dropFirst()
            while let letter = letters.popFirst() {
                func value() -> String? {
                    defer { letters = "" }
                    return letters.isEmpty ? rest.popFirst() : String(letters)
                }
                switch letter {
                case "h": return .show(usage)
                case "V": return .show(version)
                case "v": return .show("")
                case "l": isQuestion = true
                case "k", "K": forgets = true
                case "n", "S", "A", "B", "P": break
                case "b": request.isBackground = true
                case "E": request.keepsEnvironment = true
                case "H": request.setsHome = true
                case "i": request.form = .login
                case "s": request.form = .shell
                case "p": guard value() != nil else { return refuse("option requires an argument -- 'p'") }
                case "u":
                    guard let name = value() else { return refuse("option requires an argument -- 'u'") }
                    request.user = name
                case "D":
                    guard let path = value() else { return refuse("option requires an argument -- 'D'") }
                    request.directory = path
                default: return refuse("invalid option -- '\(letter)'")
                }
            }
        }
        if isQuestion { return .show("The compute's user may run every command:\n    (ALL : ALL) NOPASSWD: ALL") }
        while let assignment = rest.first, let end = assignment.firstIndex(of: "="), end != assignment.startIndex,
            !assignment[..<end].contains("/")
        {
            request.assignments[String(assignment[..<end])] = String(assignment[assignment.index(after: end)...])
            rest.removeFirst()
        }
        request.arguments = Array(rest)
        guard request.arguments.isEmpty, request.form == .command else { return .run(request) }
        return forgets ? .show("") : .refuse(usage)
    }
}
