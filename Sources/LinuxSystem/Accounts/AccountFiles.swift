/// `/etc/passwd` and `/etc/group`, read by ourselves: a static executable has no name service.
package struct AccountFiles: Sendable {
    package struct Account: Hashable, Sendable {
        package let name: String
        package let uid: UInt32
        package let gid: UInt32
        package let home: String
        package let shell: String

        package init(name: String, uid: UInt32, gid: UInt32, home: String, shell: String) {
            self.name = name
            self.uid = uid
            self.gid = gid
            self.home = home
            self.shell = shell
        }
    }

    private let accounts: [Account]
    private let groups: [(gid: UInt32, members: [Substring])]

    /// From the files' texts. Lines that make no sense are skipped, as the C library does: one bad line in an image
    /// must not lock everybody out.
    package init(passwd: String, group: String) {
        accounts = Self.lines(passwd).compactMap { line in
            let fields = Self.fields(line)
            guard fields.count >= 7, !fields[0].isEmpty, let uid = Self.id(fields[2]), let gid = Self.id(fields[3])
            else { return nil }
            return Account(
                name: String(fields[0]), uid: uid, gid: gid, home: fields[5].isEmpty ? "/" : String(fields[5]),
                shell: fields[6].isEmpty ? "/bin/sh" : String(fields[6]))
        }
        groups = Self.lines(group).compactMap { line in
            let fields = Self.fields(line)
            guard fields.count >= 4, !fields[0].isEmpty, let gid = Self.id(fields[2]) else { return nil }
            return (gid, fields[3].split(separator: ","))
        }
    }

    /// The first account of that name, as the C library answers.
    package func account(named name: String) -> Account? { accounts.first { $0.name == name } }

    package func account(uid: UInt32) -> Account? { accounts.first { $0.uid == uid } }

    /// Every group the account is in, its own first, without repetition: what `initgroups` would set.
    package func groupIDs(of account: Account) -> [UInt32] {
        var ids = [account.gid]
        for group in groups where group.members.contains(where: { $0 == account.name }) && !ids.contains(group.gid) {
            ids.append(group.gid)
        }
        return ids
    }

    private static func lines(_ text: String) -> [Substring.UTF8View.SubSequence] {
        // By bytes: "\r\n" is one Character, and would hide a line's end.
        text.utf8.split(separator: UInt8(ascii: "\n"))
    }

    private static func fields(_ line: Substring.UTF8View.SubSequence) -> [Substring] {
        line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map { Substring($0) }
    }

    /// Digits only; and not the one number that means "no change" to the kernel.
    private static func id(_ text: Substring) -> UInt32? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let id = UInt32(text), id != .max
        else { return nil }
        return id
    }
}
