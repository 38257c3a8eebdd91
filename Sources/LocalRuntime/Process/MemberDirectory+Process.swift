import ComputeCore
import ComputeRuntime
import Glibc

/// What a member without isolation has in its directory besides.
///
/// ```
///     s.sock  i.sock             where its Sidekick listens: for the Gateway, for the API
///     state/                     the Sidekick's own (the claim)
///     disk                       a link to its `ProcessDisk`
/// ```
extension MemberDirectory {
    var state: String { "\(path)/state" }
    var diskLink: String { "\(path)/disk" }

    /// nil while there is none, or any more.
    var disk: ProcessDisk? {
        ProcessDisk.target(of: diskLink).map { ProcessDisk(dataDirectory: dataDirectory, name: $0) }
    }

    var dataDirectory: String { String(members.dropLast("/members".count)) }

    var processMember: Member {
        Member(
            name: name, sidekick: .unix(path: "\(path)/s.sock"), sidekickInternal: .unix(path: "\(path)/i.sock"),
            portHost: "127.0.0.1")
    }

    /// `sun_path` holds 108 bytes with the final zero; a longer path fails only when the Sidekick binds it.
    static func checkSocketPaths(under members: String) throws(RuntimeError) {
        let longest = "\(members)/\(MemberName.random())/s.sock".utf8.count
        guard longest <= 107 else {
            throw RuntimeError(
                .unavailable,
                "the data directory's path is \(longest - 107) bytes too long for Unix sockets below it: "
                    + "choose a shorter COMPUTESDK_DATA_DIR")
        }
    }
}
