import OCIImages
import Testing

@Suite struct BaseRecipeTests {
    @Test(arguments: [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "bookworm"),
        ("VERSION_CODENAME=\"trixie\"\nID='debian'", "trixie"),
        ("ID=debian\nVERSION_CODENAME=buster", "bookworm"),
        ("ID=ubuntu\nVERSION_CODENAME=noble", "bookworm"),
        ("", "bookworm"),
    ]) func theSuiteIsTheMachinesOwnWhereItIsKnown(release: String, suite: String) {
        #expect(BaseRecipe.suite(osRelease: release) == suite)
    }

    @Test func anotherSuiteIsAnotherImage() {
        let one = BaseRecipe(suite: "bookworm", architecture: "amd64").digest
        #expect(one == BaseRecipe(suite: "bookworm", architecture: "amd64").digest)
        #expect(one != BaseRecipe(suite: "trixie", architecture: "amd64").digest)
        #expect(one != BaseRecipe(suite: "bookworm", architecture: "arm64").digest)
        #expect(one.hasPrefix("sha256:") && one.utf8.count == 71)
    }

    @Test func sourcesAndOptionsOfTheMachineAreUsed() {
        let apt = AptConfiguration(
            suite: "bookworm",
            targets: """
                Debian|bookworm|main|http://mirror.example.com/debian/
                Debian|bookworm|main|http://mirror.example.com/debian/
                Debian|bookworm|non-free|http://mirror.example.com/debian/
                Debian|bookworm-updates|main|http://mirror.example.com/debian/
                Debian|bookworm-security|main|https://mirror.example.com/security/
                Debian|trixie|main|http://mirror.example.com/debian/
                Debian|bookworm|main|file:/srv/debian/
                Somebody|bookworm|main|http://somebody.example.com/
                $(ORIGIN)|$(CODENAME)
                """,
            dump: """
                APT "";
                Acquire::http::Proxy "http://proxy.example.com:3128";
                Acquire::Check-Valid-Until "false";
                Acquire::Languages "de";
                DPkg::Post-Invoke:: "rm -rf /";
                """)
        #expect(
            apt.sources == [
                "deb http://mirror.example.com/debian/ bookworm main",
                "deb http://mirror.example.com/debian/ bookworm-updates main",
                "deb https://mirror.example.com/security/ bookworm-security main",
            ])
        #expect(
            apt.options == [
                #"Acquire::http::Proxy "http://proxy.example.com:3128""#, #"Acquire::Check-Valid-Until "false""#,
            ])
        let arguments = BaseRecipe(suite: "bookworm", architecture: "amd64")
            .arguments(target: "/target", sources: apt.sources, options: apt.options)
        #expect(Array(arguments.suffix(5)) == ["bookworm", "/target"] + apt.sources)
        #expect(arguments.contains(#"--aptopt=Acquire::Check-Valid-Until "false""#))
    }

    @Test func updatesWithoutTheReleaseItselfAreNoSource() {
        let apt = AptConfiguration(
            suite: "bookworm", targets: "Debian|bookworm-updates|main|http://mirror.example.com/debian/\n", dump: "")
        #expect(apt.sources.isEmpty)
    }
}

@Suite struct BuildLogTests {
    /// As mmdebstrap 1.3.5 writes it, shortened.
    private static let text = """
        I: chroot architecture amd64 is equal to the host's architecture
        I: running apt-get update...
        Get:1 http://mirror.example.com/debian bookworm InRelease [151 kB]
        I: downloading packages with apt...
        0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
        Get:1 http://mirror.example.com/debian bookworm/main amd64 libc6 amd64 2.36-9 [2759 kB]
        Get:2 http://mirror.example.com/debian bookworm/main amd64 mawk amd64 1.3.4 [119 kB]
        I: extracting archives...
        I: installing essential packages...
        Unpacking libc6:amd64 (2.36-9) ...
        Setting up libc6:amd64 (2.36-9) ...
        Unpacking mawk (1.3.4) ...
        Setting up mawk (1.3.4) ...
        I: installing remaining packages inside the chroot...
        0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.
        Get:1 http://mirror.example.com/debian bookworm/main amd64 git amd64 1:2.39 [9 MB]
        Unpacking git (1:2.39) ...
        Setting up git (1:2.39) ...
        Setting up git-again (1:2.39) ...
        I: running --customize-hook in shell: sh -c 'set -eu
        I: cleaning package lists and apt cache...
        I: success in 76.5331 seconds

        """

    @Test func theShareOfEachPhaseGrowsToTheWhole() {
        var log = BuildLog()
        var seen: [ImageProgress] = []
        for line in Self.text.split(separator: "\n", omittingEmptySubsequences: false) {
            if let news = log.read("\(line)\n") { seen.append(news) }
        }
        #expect(
            seen == [
                ImageProgress("base image: reading package lists"),
                ImageProgress("base image: downloading packages"),
                ImageProgress("base image: downloading packages", fraction: 0),
                ImageProgress("base image: downloading packages", fraction: 0.5),
                ImageProgress("base image: downloading packages", fraction: 1),
                ImageProgress("base image: extracting packages"),
                ImageProgress("base image: installing essential packages", fraction: 0),
                ImageProgress("base image: installing essential packages", fraction: 0.25),
                ImageProgress("base image: installing essential packages", fraction: 0.5),
                ImageProgress("base image: installing essential packages", fraction: 0.75),
                ImageProgress("base image: installing essential packages", fraction: 1),
                ImageProgress("base image: installing packages"),
                ImageProgress("base image: installing packages", fraction: 0),
                ImageProgress("base image: installing packages", fraction: 0.33),
                ImageProgress("base image: installing packages", fraction: 0.66),
                ImageProgress("base image: installing packages", fraction: 1),
                ImageProgress("base image: tidying up"),
            ])
    }

    @Test func linesMayArriveInAnyPieces() {
        for split in Self.text.indices where split.utf16Offset(in: Self.text) % 7 == 0 {
            var log = BuildLog()
            _ = log.read(String(Self.text[..<split]))
            _ = log.read(String(Self.text[split...]))
            #expect(log.progress == ImageProgress("base image: tidying up"))
        }
    }
}
