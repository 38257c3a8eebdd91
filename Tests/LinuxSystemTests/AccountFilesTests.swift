import LinuxSystem
import Testing

@Suite struct AccountFilesTests {
    let files = AccountFiles(
        passwd: """
            root:x:0:0:root:/root:/bin/bash
            # a comment
            broken:x:one:1::/:/bin/sh
            minus:x:-1:1::/:/bin/sh
            nobody:x:4294967295:1::/:/bin/sh
            short:x:5:5
            user:x:1000:1001:A User,,,:/home/user:/bin/zsh
            user:x:1:1:second:/:/bin/sh
            bare:x:7:7:::

            """,
        group: """
            root:x:0:
            user:x:1001:
            docker:x:999:other,user
            again:x:999:user
            userx:x:998:userx
            bad:x:nine:user
            """)

    @Test func anAccountIsFoundByNameAndByNumber() throws {
        let user = try #require(files.account(named: "user"))
        #expect(user.uid == 1000)
        #expect(user.gid == 1001)
        #expect(user.home == "/home/user")
        #expect(user.shell == "/bin/zsh")
        #expect(files.account(uid: 1000) == user)
        #expect(files.account(named: "root")?.uid == 0)
        #expect(files.account(named: "nothere") == nil)
    }

    @Test(arguments: ["broken", "minus", "nobody", "short", "# a comment", ""])
    func aLineThatMakesNoSenseIsSkipped(name: String) {
        #expect(files.account(named: name) == nil)
    }

    @Test func emptyHomeAndShellHaveTheirUsualMeaning() {
        #expect(files.account(named: "bare")?.home == "/")
        #expect(files.account(named: "bare")?.shell == "/bin/sh")
    }

    @Test func groupsAreTheOwnOneAndTheListedOnesOnce() throws {
        #expect(files.groupIDs(of: try #require(files.account(named: "user"))) == [1001, 999])
        #expect(files.groupIDs(of: try #require(files.account(named: "root"))) == [0])
    }

    @Test func theFilesOfThisMachineCanBeRead() throws {
        #expect(try AccountFiles.read().account(uid: 0)?.name == "root")
    }

    @Test func aMissingGroupFileMeansNoGroups() throws {
        let files = try AccountFiles.read(group: "/nonexistent/group")
        let root = try #require(files.account(uid: 0))
        #expect(files.groupIDs(of: root) == [root.gid])
    }
}
