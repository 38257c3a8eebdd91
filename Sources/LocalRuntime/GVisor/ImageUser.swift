/// Who user code runs as in an image: its account of uid 1000, whatever the name, or one that is added.
package struct ImageUser: Sendable, Hashable {
    package static let uid: UInt32 = 1000

    package var name: String
    package var home: String
    /// The image's account files with the account in them; nil where it is there already.
    package var added: Files?

    package struct Files: Sendable, Hashable {
        package var passwd: String
        package var group: String
    }

    /// - Parameters:
    ///   - passwd: the image's `/etc/passwd`, empty when it has none; a stranger wrote it.
    ///   - shell: what the image has.
    package init(passwd: String, group: String, shell: String) {
        for line in passwd.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 6, UInt32(fields[2]) == Self.uid, !fields[0].isEmpty, fields[5].hasPrefix("/") else {
                continue
            }
            name = String(fields[0])
            home = String(fields[5])
            return
        }
        let names = Set(passwd.split(separator: "\n").compactMap { $0.split(separator: ":").first.map(String.init) })
        // `user` may be somebody else's in a strange image.
        name = names.contains("user") ? "computesdk" : "user"
        home = "/home/\(name)"
        added = Files(
            passwd: Self.appending(
                "\(name):x:1000:1000::\(home):\(shell)", to: passwd, or: "root:x:0:0:root:/root:/bin/sh"),
            group: Self.appending("\(name):x:1000:", to: group, or: "root:x:0:"))
    }

    private static func appending(_ line: String, to text: String, or first: String) -> String {
        let text = text.isEmpty ? first + "\n" : text
        return text + (text.hasSuffix("\n") ? "" : "\n") + line + "\n"
    }
}
