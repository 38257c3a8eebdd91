import Glibc
package import LinuxSystem

extension UserIdentity {
    /// Images of others need not know our user: then it is this account, by its numbers.
    private static let fallback = (name: "user", id: UInt32(1000), home: "/home/user")

    /// Who user code runs as, from the settings and the image's account files.
    /// - Throws: when the named account is not there, or we are not in a position to become it.
    static func resolve(_ settings: SidekickSettings) throws(SidekickStartError) -> UserIdentity {
        let accounts: AccountFiles
        do throws(LinuxSystemError) {
            accounts = try AccountFiles.read()
        } catch  where error.code == .notFound || settings.user == nil {
            // An image without accounts is fine as long as none of them is asked for.
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
        guard let found = account(name, in: accounts) else {
            throw SidekickStartError("the image has no account \"\(name)\" (--user)")
        }
        let (account, groups) = found
        let isOurselves = account.uid == geteuid()
        guard isOurselves || geteuid() == 0 else {
            throw SidekickStartError("only root can run user code as \"\(name)\" (--user)")
        }
        return UserIdentity(
            name: account.name,
            ids: isOurselves ? nil : IDs(uid: account.uid, gid: account.gid, supplementary: groups),
            home: settings.home ?? account.home, shell: account.shell)
    }

    /// `NAME`, `UID` or `UID:GID`.
    package static func account(
        _ text: String, in accounts: AccountFiles
    ) -> (account: AccountFiles.Account, groups: [UInt32])? {
        if let account = accounts.account(named: text) { return (account, accounts.groupIDs(of: account)) }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        // All ones means "no change" to the kernel.
        let ids = parts.compactMap { UInt32($0) }.filter { $0 != .max }
        let isNumeric = (1...2).contains(parts.count) && ids.count == parts.count
        guard isNumeric || text == fallback.name else { return nil }
        let uid = ids.first ?? fallback.id
        if let account = accounts.account(uid: uid) {
            guard ids.count == 2, ids[1] != account.gid else { return (account, accounts.groupIDs(of: account)) }
            // Another group than the account's: then none of the account's groups either.
            let other = AccountFiles.Account(
                name: account.name, uid: uid, gid: ids[1], home: account.home, shell: account.shell)
            return (other, [ids[1]])
        }
        let gid = ids.count == 2 ? ids[1] : uid
        return (
            AccountFiles.Account(name: fallback.name, uid: uid, gid: gid, home: fallback.home, shell: "/bin/sh"), [gid]
        )
    }

    /// As ourselves, because the user may not make directories in `/home`. What is there stays as it is.
    func makeHome() throws(LinuxSystemError) {
        guard let ids else { return }
        do throws(LinuxSystemError) {
            _ = try FileTree.status(home)
        } catch  where error.code == .notFound {
            let parent = home.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
            // Those above it are the system's, or the user could put another home in its place.
            try FileTree.makeDirectories(parent, owner: ThreadIdentity(uid: 0, gid: 0, supplementary: []))
            try FileTree.makeDirectories(home, owner: ids.threadIdentity)
        }
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
