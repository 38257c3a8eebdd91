import Glibc
import LinuxSystem

extension UserIdentity {
    /// Who user code runs as, from the settings and the image's account files.
    /// - Throws: when the named account is not there, or we are not in a position to become it.
    static func resolve(_ settings: SidekickSettings) throws(SidekickStartError) -> UserIdentity {
        let accounts: AccountFiles
        do throws(LinuxSystemError) {
            accounts = try AccountFiles.read()
        } catch  where settings.user == nil {
            // An image without accounts is fine as long as none is asked for.
            accounts = AccountFiles(passwd: "", group: "")
        } catch {
            throw SidekickStartError("the account files cannot be read", cause: error)
        }
        guard let name = settings.user else {
            let own = accounts.account(uid: getuid())
            return UserIdentity(
                name: own?.name ?? "user", ids: nil, home: settings.home ?? own?.home ?? "/",
                shell: own?.shell ?? "/bin/sh")
        }
        guard let account = accounts.account(named: name) else {
            throw SidekickStartError("the image has no account \"\(name)\" (--user)")
        }
        let isOurselves = account.uid == geteuid()
        guard isOurselves || geteuid() == 0 else {
            throw SidekickStartError("only root can run user code as \"\(name)\" (--user)")
        }
        return UserIdentity(
            name: name,
            ids: isOurselves
                ? nil
                : IDs(uid: account.uid, gid: account.gid, supplementary: accounts.groupIDs(of: account)),
            home: settings.home ?? account.home, shell: account.shell)
    }
}

/// Why a Sidekick cannot start.
package struct SidekickStartError: Error, CustomStringConvertible {
    package let message: String
    package let cause: (any Error)?

    init(_ message: String, cause: (any Error)? = nil) {
        self.message = message
        self.cause = cause
    }

    package var description: String { cause.map { "\(message): \($0)" } ?? message }
}
