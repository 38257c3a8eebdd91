import LinuxHost
import OCIImages
import Testing

@Suite struct ImageReferenceTests {
    static let digest = "sha256:" + String(repeating: "0a", count: 32)

    @Test(arguments: [
        ("base", "base"),
        ("python", "python:latest"),
        ("python:3.12-slim", "python:3.12-slim"),
        ("team/app__x/a-b.c:V1_2.3", "team/app__x/a-b.c:V1_2.3"),
        ("registry.example.com/team/app", "registry.example.com/team/app:latest"),
        ("localhost:5000/a:b", "localhost:5000/a:b"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"),
        // The digest says everything.
        ("app:1@\(digest)", "app@\(digest)"),
        ("r.example.com:443/app@\(digest)", "r.example.com:443/app@\(digest)"),
        ("oci:/srv/images/app", "oci:/srv/images/app"),
        ("oci:/srv/images/app:1.0", "oci:/srv/images/app:1.0"),
    ]) func aNameReadsAsItIsWritten(text: String, wanted: String) throws {
        let reference = try ImageReference(text)
        #expect(reference.description == wanted)
        #expect(try ImageReference(wanted) == reference)
    }

    @Test(arguments: [
        "", " ", "-", "--version", "-v/app", "app --help", "app\n", " app", "app\0", "a b",
        "docker://python", "docker://", "http://x/y", "dir:/etc", "docker-archive:/etc/passwd",
        "oci-archive:/tmp/x.tar", "App", "registry.example.com/App", "app:", "app:-x", "app:.x", "app:a b",
        "app:" + String(repeating: "a", count: 129), "app@", "app@sha256:00", "app@md5:00", "app@\(digest)0",
        "app@sha256:" + String(repeating: "0A", count: 32), "app@\(digest)@\(digest)",
        "/app", "app/", "a//b", "a/../b", "..", "./app", "_app", "app_", "a..b", "a___b", "a.-b",
        "user:secret@host.example.com/app", "host.example.com:0/app", "host.example.com:65536/app",
        "host.example.com:+80/app", "host.example.com:80:80/app", "-host.example.com/app", "host..example.com/app",
        "[::1]:5000/app", "äpp", "a.example.com/äpp", "app:tág", "ａpp", String(repeating: "a", count: 256),
        String(repeating: "a/", count: 400) + "a", "oci:", "oci:relative", "oci:/a:b:c", "oci:/a:", "oci:/a,b",
        "oci:/a\nb",
        "oci:/a:-x",
    ]) func whatIsNoReferenceIsRefused(text: String) {
        let error = #expect(throws: ImageError.self) { try ImageReference(text) }
        #expect(error?.code == .invalidReference)
    }

    @Test(arguments: [
        "oci:/srv/images/app", "localhost/app", "localhost:5000/app", "127.0.0.1:5000/app", "127.1:80/app",
        "127.9.9.9/app",
        "10.0.0.1/app", "192.168.1.1:5000/app", "172.31.0.1/app", "169.254.169.254/app", "100.64.0.1/app",
        "0.0.0.0/app",
        "224.0.0.1/app", "0x7f.0.0.1/app", "0177.0.0.1/app", "127.0.0.01/app", "2130706433:80/app", "0x7f000001:80/app",
        "registry:5000/app", "a.localhost/app", "metadata.google.internal/app", "printer.local/app",
    ]) func aStrangerReachesNothingOfThisSite(text: String) throws {
        #expect(throws: ImageError.self) { try ImageReference(fromRequest: text) }
        _ = try? ImageReference(text)
    }

    @Test(arguments: [
        "base", "python:3.12", "registry.example.com/a", "1.1.1.1:5000/a", "172.32.0.1/a", "100.128.0.1/a",
    ])
    func aStrangerMayNamePublicImages(text: String) throws {
        #expect(try ImageReference(fromRequest: text) == ImageReference(text))
    }

    @Test(arguments: ["192.0.2.2:18480/x:1", "192.0.2.2/x", "1.1.1.1/x"])
    func aStrangerDoesNotReachThisMachineByAnAddressOfIts(text: String) throws {
        let own: Set = ["192.0.2.2", "1.1.1.1"]
        let error = #expect(throws: ImageError.self) { try ImageReference(fromRequest: text, own: own) }
        #expect(error?.message.hasPrefix("images may not be fetched from") == true)
        _ = try ImageReference(fromRequest: "192.0.2.20/x", own: own)
        _ = try ImageReference(fromRequest: "192.0.2.2:18480/x", trusted: ["192.0.2.2:18480"], own: own)
    }

    @Test func thisMachinesAddressesAreKnown() { #expect(OwnAddresses.now().contains("127.0.0.1")) }

    @Test func aRegistryThatTheOperatorListsIsOpenToStrangers() throws {
        _ = try ImageReference(fromRequest: "registry:5000/app", trusted: ["registry:5000"])
        #expect(throws: ImageError.self) {
            try ImageReference(fromRequest: "registry:5001/app", trusted: ["registry:5000"])
        }
    }

    @Test(arguments: [
        ("localhost/a", true), ("localhost:5000/a", true), ("127.0.0.1:5000/a", true), ("127.255.0.1/a", true),
        ("128.0.0.1/a", false), ("127.0.0.1.example.com/a", false), ("localhost.example.com/a", false), ("a", false),
        ("10.0.0.1:5000/a", false),
    ]) func onlyThisMachineIsLoopback(text: String, wanted: Bool) throws {
        #expect(try RegistryReference(text).isOnLoopback == wanted)
    }
}

/// What skopeo says in words, as it says it.
@Suite struct RegistryAnswerTests {
    @Test(
        arguments: [
            (
                "reading manifest 3.12-nope in docker.io/library/python: manifest unknown", ImageError.Code.notFound,
                "its registry has no such image"
            ),
            (
                "reading manifest latest in docker.io/no/such: requested access to the resource is denied", .notFound,
                "its registry has no such image, or does not show it"
            ),
            (
                "reading manifest 1 in quay.io/a/b: unauthorized: access to the requested resource is not authorized",
                .notFound, "its registry has no such image, or does not show it"
            ),
            (
                "pinging container registry r.example: received unexpected HTTP status: 404 Not Found", .notFound,
                "its registry has no such image"
            ),
            (
                "pinging container registry r.example: Get \"https://r.example/v2/\": dial tcp: lookup r.example on "
                    + "10.1.1.1:53: no such host",
                .notFound, "the name of its registry has no address"
            ),
            (
                "pinging container registry r.example: Get \"https://r.example/v2/\": dial tcp 10.9.9.9:443: connect: "
                    + "connection refused",
                .unavailable, "its registry cannot be reached"
            ),
            (
                "Get \"https://r.example/v2/\": dial tcp: lookup r.example: Temporary failure in name resolution",
                .unavailable, "its registry cannot be reached"
            ),
            (
                "reading manifest 1 in docker.io/a/b: toomanyrequests: slow down", .unavailable,
                "its registry is asked too often from here"
            ),
            ("proxyconnect tcp: dial tcp: lookup proxy.site: no such host", .unavailable, nil),
            ("reading manifest denied in r.example/tls/eof: something new", .unavailable, nil),
        ] as [(String, ImageError.Code, String?)])
    func aRegistrysAnswerIsToldInWordsOfOurs(said: String, code: ImageError.Code, reason: String?) {
        let meaning = ImageError.meaning(ofWords: "exited(1): time=\"…\" level=fatal msg=\"\(said)\"")
        #expect(meaning.0 == code && meaning.reason == reason)
        #expect(meaning.reason?.contains("10.") != true, "no address of this site")
    }
}
