import LocalRuntime
import Testing

@Suite struct ImageUserTests {
    private let debian = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"

    @Test func theImagesOwnAccountOfTheNumberIsUsedAsItIs() {
        let user = ImageUser(
            passwd: debian + "node:x:1000:1000::/home/node:/bin/bash\n", group: "node:x:1000:\n", shell: "/bin/sh")
        #expect(user.name == "node" && user.home == "/home/node" && user.added == nil)
    }

    @Test func anAccountIsAddedWhereNoneHasTheNumber() {
        let user = ImageUser(passwd: debian, group: "root:x:0:\n", shell: "/bin/bash")
        #expect(user.name == "user" && user.home == "/home/user")
        #expect(user.added?.passwd == debian + "user:x:1000:1000::/home/user:/bin/bash\n")
        #expect(user.added?.group == "root:x:0:\nuser:x:1000:\n")
    }

    @Test func anImageWithoutAccountFilesGetsThemWithRootInThem() {
        let user = ImageUser(passwd: "", group: "", shell: "/bin/sh")
        #expect(
            user.added?.passwd == "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
        #expect(user.added?.group == "root:x:0:\nuser:x:1000:\n")
    }

    @Test func aLastLineWithoutItsEndStaysALineOfItsOwn() {
        let user = ImageUser(passwd: "root:x:0:0:root:/root:/bin/sh", group: "root:x:0:", shell: "/bin/sh")
        #expect(user.added?.passwd.split(separator: "\n").count == 2)
        #expect(user.added?.group == "root:x:0:\nuser:x:1000:\n")
    }

    @Test func aNameThatIsTakenByAnotherNumberIsLeftToIt() {
        let passwd = debian + "user:x:1001:1001::/home/user:/bin/sh\n"
        let user = ImageUser(passwd: passwd, group: "", shell: "/bin/sh")
        #expect(user.name == "computesdk" && user.home == "/home/computesdk")
        #expect(user.added?.passwd == passwd + "computesdk:x:1000:1000::/home/computesdk:/bin/sh\n")
    }

    /// Strangers write these files.
    @Test(arguments: [
        "a:x:1000", "a:x:1000:1000::relative:/bin/sh", ":x:1000:1000::/home/a:/bin/sh", "a:x:1000:1000:::/bin/sh",
        "a:x:+1000x:1000::/home/a:/bin/sh", "a:x:-1000:1000::/home/a:/bin/sh", "a:x:4294968296:0::/home/a:/bin/sh",
    ])
    func aLineThatIsNoAccountIsNone(_ line: String) {
        let user = ImageUser(passwd: line + "\n", group: "", shell: "/bin/sh")
        #expect(user.name == "user" && user.added != nil)
    }
}
