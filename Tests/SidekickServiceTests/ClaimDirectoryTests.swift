import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import SidekickProtocol
import Subprocess
import Testing

/// The working directory that a claim names: nothing is claimed in which no command could start.
struct ClaimDirectoryTests {
    @Test(arguments: ["/proc/x", "/sys/x", "/etc/passwd/x", "/etc/passwd", "/dev/null"])
    func oneThatCannotBeIsRefusedByItsFieldAndTheMemberStaysFree(_ directory: String) async throws {
        try await SidekickPlace().run { place in
            let refused = try await place.claim(directory: directory)
            #expect(refused.status == 400 && refused.text("field") == "directory", "\(refused.body)")
            #expect(refused.text("message")?.contains(directory) == true)
            let new = place.home + "/new/dir"
            #expect(try await place.claim(directory: new).status == 200)
            #expect(try await place.command("pwd").stdout == "\(new)\n")
        }
    }
}

extension SidekickUserTests {
    @Test func aDirectoryThatIsNotOpenToTheUserIsRefused() async throws {
        let account = try TestAccount.unprivileged()
        try await SidekickPlace(user: account).run { place in
            let (closed, opened) = (place.path + "/closed", place.path + "/opened")
            try #require(mkdir(closed, 0o700) == 0 && mkdir(opened, 0o711) == 0)
            try #require(mkdir(closed + "/below", 0o777) == 0)
            for directory in [closed, closed + "/below"] {
                let refused = try await place.claim(directory: directory)
                #expect(refused.status == 400 && refused.text("field") == "directory", "\(refused.body)")
                #expect(refused.text("message")?.contains(account.name) == true)
            }
            // To list it is another right than to be in it.
            #expect(try await place.claim(directory: opened).status == 200)
            #expect(try await place.command("pwd; cat /proc/self/status | grep -c ^Uid").stdout == "\(opened)\n1\n")
        }
    }
}

extension SidekickPlace {
    fileprivate func claim(directory: String) async throws -> Answer {
        try await claim(
            ClaimOrder(
                computeId: computeID, generation: .first, secret: secret, env: [:], directory: directory,
                url: "http://localhost/s/\(computeID)", portURLTemplate: nil))
    }
}
