import ComputeCore
import FoundationEssentials
import NIOHTTP1
import Testing

struct ArchiveRouteTests {
    private static func started(_ body: @escaping @Sendable (SidekickPlace) async throws -> Void) async throws {
        try await SidekickPlace().run { place in
            try await place.claim()
            try await body(place)
            #expect(place.errors == [])
        }
    }

    private static let tree = """
        mkdir -p tree/sub/deep tree/node_modules/x; printf 1 > tree/a; chmod 751 tree/a
        printf héllo > "tree/sub/ünïcode name"; printf x > tree/node_modules/x/y
        ln -s ../a tree/sub/link; ln tree/a tree/hard; head -c 300000 /dev/zero > tree/sub/deep/zeros
        n=tree/sub/$(printf 'n%.0s' $(seq 120)); printf long > $n; mkfifo tree/pipe; mkdir tree/empty
        """

    private static func python(_ script: String) -> String { "python3 - <<'END'\n\(script)\nEND" }

    @Test(arguments: ["tar", "tar.gz", "zip"])
    func whatIsPackedHereIsUnpackedByOthers(_ format: String) async throws {
        try await Self.started { place in
            #expect(try await place.command(Self.tree).exitCode == 0)
            let packed = try await place.bytes(
                .GET, "/files/archive?path=tree&format=\(format)&ignore=node_modules&ignore=*.o")
            #expect(packed.status == 200)
            #expect(packed.header("Content-Disposition") == "attachment; filename=\"tree.\(format)\"")
            let file = place.home + "/out." + format
            #expect(FileManager.default.createFile(atPath: file, contents: Data(packed.body)))
            let script =
                format == "zip"
                ? "import zipfile,os\nz=zipfile.ZipFile('out.zip')\nassert z.testzip() is None\nz.extractall('other')"
                : "import tarfile\nt=tarfile.open('out.\(format)')\nt.extractall('other')\nassert t.getmember('a').mode == 0o751"
            let unpacked = try await place.command(Self.python(script))
            #expect(unpacked.exitCode == 0, "\(unpacked)")
            #expect(!packed.text.contains("node_modules"))
            let compare = try await place.command(
                "rm -r tree/node_modules tree/pipe; diff -r \(format == "zip" ? "-x link" : "") tree other && echo same"
            )
            #expect(compare.stdout == "same\n", "\(compare)")
        }
    }

    @Test(arguments: ["w", "w:gz", "zip", "stored"])
    func whatOthersPackIsUnpackedHere(_ format: String) async throws {
        try await Self.started { place in
            #expect(try await place.command(Self.tree + "; rm tree/pipe").exitCode == 0)
            let script =
                format.hasPrefix("w")
                ? "import tarfile\nt=tarfile.open('in','\(format)')\nt.add('tree',arcname='.')\nt.close()"
                : """
                import zipfile,os
                z=zipfile.ZipFile('in','w',zipfile.\(format == "zip" ? "ZIP_DEFLATED" : "ZIP_STORED"))
                for root,ds,fs in os.walk('tree'):
                    for f in fs: z.write(os.path.join(root,f), os.path.relpath(os.path.join(root,f),'tree'))
                    for d in ds: z.write(os.path.join(root,d), os.path.relpath(os.path.join(root,d),'tree'))
                z.close()
                """
            let packed = try await place.command(Self.python(script))
            #expect(packed.exitCode == 0, "\(packed)")
            let archive = try #require(FileManager.default.contents(atPath: place.home + "/in"))
            let answer = try await place.bytes(.POST, "/files/archive?path=new/place", body: Array(archive))
            #expect(answer.status == 200, "\(answer.text)")
            let compare = try await place.command("diff -r tree new/place && stat -c %a new/place/a && ls -A new")
            #expect(compare.stdout == "751\nplace\n", "\(compare)")
        }
    }

    /// Each is an archive that some unpacker fell for.
    static let hostile: [(name: String, script: String, member: String)] = [
        ("zip-slip", "add('../evil')", "../evil"),
        ("an absolute name", "add('/tmp/evil-absolute')", "/tmp/evil-absolute"),
        ("dots in the middle", "add('a/../../evil')", "a/../../evil"),
        ("an absolute link", "add('l', t.SYMTYPE, '/etc')", "l"),
        ("a link that leads out", "add('d/l', t.SYMTYPE, '../../x')", "d/l"),
        ("a hard link that leads out", "add('h', t.LNKTYPE, '../outside')", "h"),
        ("a hard link through a link", "add('l', t.SYMTYPE, '.'); add('h', t.LNKTYPE, 'l/x')", "h"),
        ("writing through an inner link", "add('d', t.DIRTYPE); add('l', t.SYMTYPE, 'd'); add('l/evil')", "l/evil"),
        ("a device", "add('null', t.CHRTYPE)", "null"),
        ("a pipe", "add('pipe', t.FIFOTYPE)", "pipe"),
        ("a file in a file", "add('f'); add('f/g')", "f/g"),
    ]

    @Test(arguments: hostile.indices)
    func aHostileMemberIsRefusedByName(_ index: Int) async throws {
        let (name, script, member) = Self.hostile[index]
        try await Self.started { place in
            let made = try await place.command(
                Self.python(
                    """
                    import tarfile as t, io
                    out = t.open('in', 'w')
                    def add(name, type=t.REGTYPE, link=''):
                        i = t.TarInfo(name); i.type = type; i.linkname = link; i.mode = 0o644
                        if type == t.REGTYPE: i.size = 4
                        out.addfile(i, io.BytesIO(b'evil') if type == t.REGTYPE else None)
                    \(script)
                    out.close()
                    """) + "\nmkdir target; printf good > outside")
            #expect(made.exitCode == 0, "\(made)")
            let archive = try #require(FileManager.default.contents(atPath: place.home + "/in"))
            let answer = try await place.bytes(.POST, "/files/archive?path=target", body: Array(archive))
            #expect(answer.status == 400, "\(name): \(answer.text)")
            #expect(answer.text.contains(member), "\(name): \(answer.text)")
            #expect(answer.text.contains("unsafe_archive"), "\(name): \(answer.text)")
            let outside = try await place.command("cat outside; ls -A; ls /tmp/evil-absolute ../evil 2>/dev/null")
            #expect(outside.stdout == "goodin\noutside\ntarget\n", "\(name): \(outside)")
        }
    }

    @Test(arguments: ["", "&max_bytes=9223372036854775807"])
    func aSizeThatNoNumberHoldsWithTheOthersIsTooLarge(_ limit: String) async throws {
        try await Self.started { place in
            let made = try await place.command(
                Self.python(
                    """
                    import tarfile as t
                    small, large = t.TarInfo('small'), t.TarInfo('large')
                    small.size, large.size = 4, 2**63 - 1
                    open('in', 'wb').write(small.tobuf() + b'good' + bytes(508) + large.tobuf(t.GNU_FORMAT))
                    """))
            #expect(made.exitCode == 0, "\(made)")
            let archive = try #require(FileManager.default.contents(atPath: place.home + "/in"))
            let answer = try await place.bytes(.POST, "/files/archive?path=target\(limit)", body: Array(archive))
            #expect(answer.status == 413 && answer.text.contains("large"), "\(answer.text)")
        }
    }

    @Test func anOldLinkInTheTargetIsNotWrittenThrough() async throws {
        try await Self.started { place in
            // A real archive of l/evil, into a directory where l is a link.
            let made = "mkdir -p src/l target outside; echo evil > src/l/evil; ln -s ../outside target/l"
            #expect(try await place.command(made).exitCode == 0)
            let archive = try await place.bytes(.GET, "/files/archive?path=src&format=tar")
            let answer = try await place.bytes(.POST, "/files/archive?path=target", body: archive.body)
            #expect(answer.status == 400, "\(answer.text)")
            #expect(try await place.command("ls -A outside").stdout == "")
        }
    }

    @Test(arguments: ["tar.gz", "zip"]) func aBombEndsAtItsLimit(_ format: String) async throws {
        try await Self.started { place in
            let made = "mkdir src; head -c 20000000 /dev/zero > src/bomb; touch src/b src/c"
            #expect(try await place.command(made).exitCode == 0)
            let archive = try await place.bytes(.GET, "/files/archive?path=src&format=\(format)")
            #expect(archive.body.count < 100_000)
            let large = try await place.bytes(.POST, "/files/archive?path=t&max_bytes=1000000", body: archive.body)
            #expect(
                large.status == 413 && large.text.contains("bomb") && large.text.contains("max_bytes"), "\(large.text)")
            let many = try await place.bytes(.POST, "/files/archive?path=t&max_entries=2", body: archive.body)
            #expect(many.status == 413 && many.text.contains("max_entries"), "\(many.text)")
            #expect(try await place.bytes(.POST, "/files/archive?path=u", body: archive.body).status == 200)
            #expect(try await place.command("cmp src/bomb u/bomb && ls -A u").stdout == "b\nbomb\nc\n")
        }
    }

    @Test func whatIsNoArchiveIsRefused() async throws {
        try await Self.started { place in
            let noise = SidekickPlace.noise(5000)
            for (query, body) in [
                ("", []), ("", noise), ("?format=zip", noise), ("?format=tar.gz", noise), ("?format=rar", noise),
                ("?max_bytes=-1", noise), ("?links=some", noise), ("?path=..", noise),
            ] as [(String, [UInt8])] {
                let answer = try await place.bytes(.POST, "/files/archive\(query)", body: body)
                #expect(answer.status == 400, "\(query): \(answer.text)")
            }
            for (name, begin) in [
                ("bzip2", Array("BZh91AY&SY".utf8)), ("bzip2", Array("BZh9\u{17}rE8P".utf8) + [0x90]),
                ("xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]),
            ] {
                for format in ["", "?format=tar", "?format=tar.gz", "?format=zip"] {
                    let answer = try await place.bytes(.POST, "/files/archive\(format)", body: begin + noise)
                    #expect(answer.status == 400 && answer.text.contains("unsupported_archive"), "\(answer.text)")
                    #expect(answer.text.contains(name), "\(answer.text)")
                }
            }
            #expect(try await place.bytes(.GET, "/files/archive?path=missing").status == 404)
            #expect(try await place.bytes(.GET, "/files/archive?path=.&format=rar").status == 400)
            #expect(try await place.bytes(.GET, "/files/archive?path=.&ignore=%5B").status == 400)
            #expect(try await place.bytes(.GET, "/files/archive?path=/proc").status == 403)
            // Without a path it is the contract's file of that name.
            #expect(try await place.bytes(.GET, "/files/archive").status == 404)
            #expect(
                try await place.authorized(.POST, "/files", body: #"{"path":"archive","content":"x"}"#).status == 201)
            #expect(try await place.authorized(.GET, "/files/archive?content=true").text("content") == "x")
            #expect(try await place.authorized(.HEAD, "/files/archive").status == 200)
        }
    }

    @Test func aSingleFileIsAnArchiveToo() async throws {
        try await Self.started { place in
            #expect(try await place.command("printf abc > f").exitCode == 0)
            for format in ["tar", "tar.gz", "zip"] {
                let archive = try await place.bytes(.GET, "/files/archive?path=f&format=\(format)")
                let answer = try await place.bytes(.POST, "/files/archive?path=in-\(format)", body: archive.body)
                #expect(answer.status == 200, "\(answer.text)")
                #expect(try await place.command("cat in-\(format)/*").stdout == "abc")
            }
        }
    }

    /// While a client takes an archive slowly, or goes, nothing else waits.
    @Test func threadsAreFreeWhileClientsAreSlow() async throws {
        try await Self.started { place in
            #expect(try await place.command("mkdir big; head -c 30000000 /dev/urandom > big/f").exitCode == 0)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await place.breakOff(.GET, "/files/archive?path=big&format=tar", body: [], of: 0) {
                            () async throws -> Void in
                            for _ in 0..<5 {
                                let answer = try await place.authorized(.HEAD, "/files/big/f")
                                #expect(answer.status == 200)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            // Their places are free again as well.
            try await eventually("a place is free") {
                try await place.bytes(.GET, "/files/archive?path=big/f&format=tar").status == 200
            }
        }
    }
}
