import ComputeCore
import Crypto
import FoundationEssentials
import Glibc
import NIOHTTP1
import SidekickProtocol
import Subprocess
import Testing

/// Secrets that come with the claim as files.
struct SecretFileTests {
    @Test func theyAreThereWhenTheClaimIsAnsweredAndNotInItsRecord() async throws {
        let place = try SidekickPlace()
        let path = place.home + "/new/dir/key"
        let killed = try await place.run(ending: .kill) { place in
            let claimed = try await place.claim(files: [
                SecretFile(path: path, mode: 0o400, content: Array("canary-file\0".utf8)),
                SecretFile(path: place.home + "/empty", mode: 0o640, content: []),
            ])
            #expect(claimed.status == 200, "\(claimed.body)")
            #expect(Self.mode(path) == 0o400 && Self.mode(place.home + "/empty") == 0o640)
            #expect(FileManager.default.contents(atPath: path) == Data("canary-file\0".utf8))
            #expect(try await place.command("echo $TOKEN").stdout == "canary-env\n")
        }
        #expect(killed == .signaled(SIGKILL))
        let record = try #require(FileManager.default.contents(atPath: place.path + "/state/claim.json"))
        #expect(record.firstRange(of: Data("canary-env".utf8)) != nil)
        for file in ["canary-file", Array("canary-file\0".utf8).base64URL] {
            #expect(record.firstRange(of: Data(file.utf8)) == nil)
        }
        #expect(Self.mode(place.path + "/state/claim.json") == 0o600)
        // What the user has made of it is his; a new process does not write it again.
        unlink(path)
        try await place.run { place in
            let shown = try await place.command("echo $TOKEN").stdout
            #expect(shown == "canary-env\n")
            #expect(Self.mode(path) == nil)
        }
        #expect(!place.log.joined().contains("canary"))
    }

    @Test func aClaimThatIsRepeatedLeavesWhatTheUserMadeOfThem() async throws {
        try await SidekickPlace().run { place in
            let path = place.home + "/key"
            let files = [SecretFile(path: path, mode: 0o400, content: [1])]
            let first = try await place.claim(files: files)
            #expect(first.status == 200, "\(first.body)")
            // Where the Sidekick would write as itself what he could not.
            unlink(path)
            try #require(symlink(place.home + "/elsewhere", path) == 0)
            let again = try await place.claim(files: files)
            #expect(again.status == 200, "\(again.body)")
            #expect(Self.mode(place.home + "/elsewhere") == nil)
            let other = try await place.claim(files: [SecretFile(path: path, mode: 0o400, content: [2])])
            #expect(other.status == 409)
            #expect(Self.mode(place.home + "/elsewhere") == nil)
        }
    }

    @Test func oneThatCannotBeWrittenLeavesAMemberThatServesNobody() async throws {
        try await SidekickPlace().run { place in
            let blocked = place.home + "/file"
            #expect(FileManager.default.createFile(atPath: blocked, contents: Data()))
            let files = [SecretFile(path: blocked + "/key", mode: 0o400, content: Array("canary".utf8))]
            for _ in 0..<2 {
                let refused = try await place.claim(files: files)
                #expect(refused.status == 400 && refused.text("field") == "secretFiles", "\(refused.body)")
            }
            #expect(try await place.authorized(.GET, "/info").status != 200)
            #expect(try await place.claim(.random(), files: []).status == 409)
            // The place was made free: the same claim is whole now.
            unlink(blocked)
            #expect(try await place.claim(files: files).status == 200)
            #expect(try await place.authorized(.GET, "/info").status == 200)
        }
    }

    @Test func aMemberThatDiesBeforeTheyAreWrittenServesNobodyUntilTheyAre() async throws {
        let place = try SidekickPlace()
        let blocked = place.home + "/file"
        let files = [SecretFile(path: blocked + "/key", mode: 0o400, content: Array("canary".utf8))]
        let killed = try await place.run(ending: .kill) { place async throws in
            #expect(FileManager.default.createFile(atPath: blocked, contents: Data()))
            #expect(try await place.claim(files: files).status == 400)
        }
        #expect(killed == .signaled(SIGKILL))
        unlink(blocked)
        try await place.run { place async throws in
            #expect(try await place.authorized(.GET, "/info").status != 200)
            #expect(try await place.claim(.random(), files: []).status == 409)
            #expect(try await place.claim(files: files).status == 200)
            #expect(Self.mode(blocked + "/key") == 0o400)
        }
        try await place.run { place async throws in
            #expect(try await place.authorized(.GET, "/info").status == 200)
        }
    }

    @Test func whatMakesNoSenseIsRefusedByItsFieldAndTheMemberStaysFree() async throws {
        try await SidekickPlace().run { place in
            let good = SecretFile(path: "/x", mode: 0o400, content: [])
            var relative = good, above = good, mode = good, content = good
            relative.path = "x"
            above.path = "/a/../x"
            mode.mode = 0o1777
            content.content = "%"
            for (files, field) in [
                ([relative], "secretFiles[0].path"), ([good, above], "secretFiles[1].path"),
                ([mode], "secretFiles[0].mode"), ([content], "secretFiles[0].content"),
                (Array(repeating: good, count: SecretFile.maxCount + 1), "secretFiles"),
            ] {
                let refused = try await place.claim(files: files)
                #expect(refused.status == 400 && refused.text("field") == field, "\(refused.body)")
            }
            #expect(try await place.claim(files: []).status == 200)
        }
    }

    private static func mode(_ path: String) -> UInt32? { status(path).map { $0.st_mode & 0o7777 } }

    fileprivate static func status(_ path: String) -> stat? {
        var info = stat()
        return lstat(path, &info) == 0 ? info : nil
    }
}

extension SidekickUserTests {
    @Test func secretFilesAndTheirNewFoldersBelongToTheUser() async throws {
        let account = try TestAccount.unprivileged()
        try await SidekickPlace(user: account).run { place in
            // As /var/run is a link to /run.
            let (real, link) = (place.path + "/run", place.path + "/link")
            try #require(mkdir(real, 0o755) == 0 && symlink(real, link) == 0)
            let claimed = try await place.claim(files: [
                SecretFile(path: link + "/secrets/key", mode: 0o400, content: Array("k".utf8)),
                SecretFile(path: place.home + "/key", mode: 0o400, content: Array("k".utf8)),
            ])
            #expect(claimed.status == 200, "\(claimed.body)")
            for path in ["/run/secrets", "/run/secrets/key", "/home/key"] {
                let info = try #require(SecretFileTests.status(place.path + path))
                #expect(info.st_uid == account.uid && info.st_gid == account.gid, "\(path)")
            }
            #expect(SecretFileTests.status(real)?.st_uid == 0)
            #expect(try await place.command("cat \(link)/secrets/key \(place.home)/key").stdout == "kk")
            // The record, which has the environment, is not the user's to read.
            #expect(try await place.command("cat \(place.path)/state/claim.json").exitCode != 0)
        }
    }
}

extension SidekickPlace {
    fileprivate func claim(_ id: ComputeID? = nil, files: [SecretFile]) async throws -> Answer {
        let id = id ?? computeID
        let order = ClaimOrder(
            computeId: id, generation: .first, secret: secret, env: ["TOKEN": "canary-env"], directory: nil,
            url: "http://localhost/s/\(id)", portURLTemplate: nil, secretFiles: files)
        return try await claim(order)
    }

    func claim(_ order: ClaimOrder) async throws -> Answer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let body = try encoder.encode(order)
        let credential = ClaimCredential(
            member: member, computeID: order.computeId, generation: order.generation,
            expiresAt: SystemWallClock().now() + ClaimCredential.lifetime, body: body)
        return try await send(
            .POST, "/internal/claim", body: String(decoding: body, as: UTF8.self), to: internalListen,
            headers: [ClaimCredential.header: try credential.signed(with: key)])
    }
}
