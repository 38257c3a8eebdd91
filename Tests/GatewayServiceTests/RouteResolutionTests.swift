import ComputeCore
import GatewayService
import NIOHTTP1
import Testing

private let id = ComputeID("abcdefgh12345678wxyz")!
private let other = ComputeID("zzzzzzzz00000000zzzz")!

@Suite struct RouteResolutionTests {
    private func resolve(
        _ host: String?, _ target: String = "/", method: HTTPMethod = .GET, domain: String = "localhost",
        loopback: Bool = true
    ) -> Resolution {
        RouteResolution(domain: domain, listensOnLoopback: loopback).resolve(
            method: method, version: .http1_1, target: target, hosts: host.map { [$0] } ?? [])
    }

    private func status(_ resolution: Resolution) -> Int? {
        if case .refused(let problem) = resolution.destination { problem.status } else { nil }
    }

    // MARK: - Hosts

    @Test(arguments: [
        ("\(id).localhost", Destination.sidekick(id, child: nil)),
        ("\(id).localhost:8080", .sidekick(id, child: nil)),
        ("\(id).localhost:", .sidekick(id, child: nil)),
        ("\(id).localhost.", .sidekick(id, child: nil)),
        ("\(id).localhost.:80", .sidekick(id, child: nil)),
        ("\(id.rawValue.uppercased()).LocalHost", .sidekick(id, child: nil)),
        ("\(id).sandbox.localhost", .sidekick(id, child: nil)),
        ("\(id)-3000.preview.localhost", .port(id, 3000, child: nil)),
        ("\(id)-3000.localhost", .port(id, 3000, child: nil)),
        ("3000-\(id).localhost", .port(id, 3000, child: nil)),
        ("\(id)-1.localhost", .port(id, 1, child: nil)),
        ("\(id)-65535.localhost", .port(id, 65535, child: nil)),
        ("\(id)-web.localhost", .sidekick(id, child: "web")),
        ("\(id)-web-3000.localhost", .port(id, 3000, child: "web")),
        ("\(id)-w2.localhost", .sidekick(id, child: "w2")),
        ("\(id)-w2-65535.preview.localhost", .port(id, 65535, child: "w2")),
        ("\(id.rawValue.uppercased())-WEB.localhost:8080", .sidekick(id, child: "web")),
        // 63 characters
        (
            "\(id)-\(String(repeating: "a", count: 42)).localhost",
            .sidekick(id, child: String(repeating: "a", count: 42))
        ),
        // Not ours, or no compute's label
        ("localhost", .api(computeHost: nil)),
        ("api.localhost", .api(computeHost: nil)),
        ("sandbox.localhost", .api(computeHost: nil)),
        ("127.0.0.1:8080", .api(computeHost: nil)),
        ("[::1]:8080", .api(computeHost: nil)),
        ("\(id).example.com", .api(computeHost: nil)),
        ("\(id).evillocalhost", .api(computeHost: nil)),
        ("\(id).localhost.evil.com", .api(computeHost: nil)),
        ("x.\(id).localhost", .api(computeHost: nil)),
        ("\(id)", .api(computeHost: nil)),
        (".localhost", .api(computeHost: nil)),
        ("a_b.localhost", .api(computeHost: nil)),
        ("\(id)_80.localhost", .api(computeHost: nil)),
        ("a-80.localhost", .api(computeHost: nil)),
        ("xn--bcher-kva.localhost", .api(computeHost: nil)),
        ("1\(id).localhost", .api(computeHost: nil)),
        ("", .api(computeHost: nil)),
    ])
    func hostLeadsTo(_ host: String, _ destination: Destination) {
        #expect(resolve(host).destination == destination)
    }

    @Test(arguments: [
        "\(id)-0.localhost", "\(id)-65536.localhost", "\(id)-080.localhost", "\(id)-99999999999999999999.localhost",
        "0-\(id).localhost", "65536-\(id).localhost", "0080-\(id).localhost", "80-\(id)-80.localhost",
        "80-\(id)-web.localhost", "\(id)-.localhost", "\(id)--80.localhost", "\(id)-80-.localhost",
        "\(id)-8a.localhost", "\(id)-80-90.localhost", "\(id)-we_b.localhost", "\(id)-web-0.localhost",
        // A child called `web-2` would be port 2 of `web`, so there is none.
        "\(id)-my-app.localhost", "\(id)-my-app-80.localhost", "\(id)-web-2-80.localhost", "\(id)-2web.localhost",
        "\(id)-web-.localhost", "\(id)-web--80.localhost", "80-\(id)-web-80.localhost",
        "\(id)-\(String(repeating: "a", count: 43)).localhost",
    ])
    func labelThatOnlyLooksLikeAComputeIsNobodys(_ host: String) {
        #expect(status(resolve(host)) == 404)
    }

    @Test(arguments: [
        "exa mple", "user@\(id).localhost", "\(id).localhost/", "\(id).localhost:8x", "\(id).localhost:65536",
        "\(id).localhost:80:80", "bücher.localhost", "\(id).localhost\r\nX: y", "\(id).localhost\0", "[::1", "[]",
        "[::1]x", "\(id).localhost,localhost", "\(String(repeating: "a", count: 400)).localhost", "ⓐ.localhost",
    ])
    func malformedHostIsRefused(_ host: String) {
        #expect(status(resolve(host)) == 400)
    }

    @Test func hostMustBeThereOnce() {
        let resolution = RouteResolution(domain: "localhost", listensOnLoopback: true)
        #expect(
            status(resolution.resolve(method: .GET, version: .http1_1, target: "/", hosts: ["localhost", "localhost"]))
                == 400)
        #expect(status(resolution.resolve(method: .GET, version: .http1_1, target: "/", hosts: [])) == 400)
        #expect(
            resolution.resolve(method: .GET, version: .http1_0, target: "/", hosts: []).destination
                == .api(computeHost: nil))
    }

    @Test func otherDomainsAreRespected() {
        #expect(resolve("\(id).run.example.com", domain: "Run.Example.com").destination == .sidekick(id, child: nil))
        #expect(resolve("\(id).localhost", domain: "run.example.com").destination == .api(computeHost: nil))
        #expect(
            resolve("\(id)-80.preview.run.example.com", domain: "run.example.com").destination
                == .port(id, 80, child: nil))
    }

    // MARK: - Targets

    @Test(arguments: [
        "//", "/a//b", "/a%2Fb", "/%2e%2e/%2e%2e", "/../..", "/a;b=c", "/é", "/a?b?c=/../x", "/%00", "/%ff%fe",
        "/\u{301}", "/a\\b", "/?", "/s/\(other)/x", "/auth", "//auth/x", "/%61uth/x", "/\u{301}auth/x",
        "/" + String(repeating: "x", count: 60_000),
    ])
    func pathBytesNeverChange(_ target: String) {
        let resolution = resolve("\(id).localhost", target)
        #expect(resolution.destination == .sidekick(id, child: nil))
        #expect(Array(resolution.target.utf8) == Array(target.utf8))
    }

    @Test(arguments: [
        "", "x", "?x", "/a b", "/a\r\nX: y", "/a\0", "/a\u{7F}", "/a\tb", "/a#b", "/\u{FFFD}", "ftp://localhost/",
        "http://", "http:///x", "http://user@localhost/", "http://local host/", "://x", "1.2.3.4:80",
    ])
    func malformedTargetIsRefused(_ target: String) {
        #expect(status(resolve("localhost", target)) == 400)
    }

    @Test func authOnAComputesHostIsTheAPIs() {
        #expect(resolve("\(id).localhost", "/auth/magic?token=x").destination == .api(computeHost: id))
        #expect(resolve("\(id).localhost", "/auth/magic?token=x").target == "/auth/magic?token=x")
        #expect(resolve("\(id)-web.localhost", "/auth/status").destination == .api(computeHost: id))
        #expect(resolve("\(id)-3000.localhost", "/auth/login").destination == .port(id, 3000, child: nil))
        #expect(resolve("localhost", "/s/\(id)/auth/status").destination == .api(computeHost: id))
        #expect(resolve("localhost", "/s/\(id)/auth/status").target == "/s/\(id)/auth/status")
        #expect(resolve("localhost", "/s/\(id)/c/web/auth/status").destination == .api(computeHost: id))
        #expect(resolve("localhost", "/s/\(id)/c/web/auth/status").target == "/s/\(id)/auth/status")
        #expect(resolve("localhost", "/s/\(id)/c/web/p/80/auth/x").destination == .port(id, 80, child: "web"))
    }

    @Test func absoluteFormNamesTheHost() {
        let target = "http://\(id).localhost:8080/a%2Fb?c"
        let resolution = resolve("\(id).localhost:8080", target)
        #expect(resolution.destination == .sidekick(id, child: nil))
        #expect(resolution.target == "/a%2Fb?c")
        #expect(resolve("", target).destination == .sidekick(id, child: nil))
        #expect(resolve("\(id).LOCALHOST.", "HTTP://\(id).localhost:80?x").target == "/?x")
        #expect(resolve("\(id).localhost", "http://\(id).localhost").target == "/")
        #expect(status(resolve("\(other).localhost:8080", target)) == 400)
        #expect(status(resolve("\(id).localhost", target)) == 400)
        #expect(status(resolve("localhost", "http://\(id).localhost/")) == 400)
        #expect(status(resolve(nil, target)) == 400)
    }

    @Test func methodsThatMakeAProxyDangerousAreRefused() {
        #expect(status(resolve("\(id).localhost", "/", method: .TRACE)) == 405)
        #expect(status(resolve("localhost", "10.0.0.1:80", method: .CONNECT)) == 405)
        #expect(resolve("localhost", "*", method: .OPTIONS).destination == .api(computeHost: nil))
    }

    // MARK: - Path form

    @Test(arguments: [
        ("/s/\(id)/files/a", Destination.sidekick(id, child: nil), "/files/a"),
        ("/s/\(id)/", .sidekick(id, child: nil), "/"),
        ("/s/\(id)", .sidekick(id, child: nil), "/"),
        ("/s/\(id)?a=b", .sidekick(id, child: nil), "/?a=b"),
        ("/s/\(id)//x%2F..%2f?q", .sidekick(id, child: nil), "//x%2F..%2f?q"),
        ("/s/\(id)/../..", .sidekick(id, child: nil), "/../.."),
        ("/s/\(id)/../\(other)/x", .sidekick(id, child: nil), "/../\(other)/x"),
        ("/s/\(id)/p", .sidekick(id, child: nil), "/p"),
        ("/s/\(id)/px/3000", .sidekick(id, child: nil), "/px/3000"),
        ("/s/\(id)/p/3000/a?b", .port(id, 3000, child: nil), "/a?b"),
        ("/s/\(id)/p/3000", .port(id, 3000, child: nil), "/"),
        ("/s/\(id)/p/3000?x", .port(id, 3000, child: nil), "/?x"),
        ("/s/\(id)/c/web/files/a?b", .sidekick(id, child: "web"), "/files/a?b"),
        ("/s/\(id)/c/web", .sidekick(id, child: "web"), "/"),
        ("/s/\(id)/c/w2?x", .sidekick(id, child: "w2"), "/?x"),
        ("/s/\(id)/c/web/../x", .sidekick(id, child: "web"), "/../x"),
        ("/s/\(id)/c/web/c/other", .sidekick(id, child: "web"), "/c/other"),
        ("/s/\(id)/c/web/p/3000/a", .port(id, 3000, child: "web"), "/a"),
        ("/s/\(id)/c", .sidekick(id, child: nil), "/c"),
        ("/s/\(id)/cx/web", .sidekick(id, child: nil), "/cx/web"),
        ("/s", .api(computeHost: nil), "/s"),
        ("//s/\(id)/", .api(computeHost: nil), "//s/\(id)/"),
        ("/S/\(id)/", .api(computeHost: nil), "/S/\(id)/"),
        ("/x/../s/\(id)/", .api(computeHost: nil), "/x/../s/\(id)/"),
        ("/%73/\(id)/", .api(computeHost: nil), "/%73/\(id)/"),
    ])
    func pathLeadsTo(_ path: String, _ destination: Destination, _ target: String) {
        for host in ["127.0.0.1:8080", "localhost", "[::1]:8080"] {
            let resolution = resolve(host, path)
            #expect(resolution.destination == destination)
            #expect(resolution.target == target)
        }
    }

    @Test(arguments: [
        "/s/", "/s//x", "/s/UPPERCASE12/x", "/s/short/x", "/s/\(id)%2F/x", "/s/a-b/x", "/s/%61bcdefgh12345678wxyz/",
        "/s/\(id)/p/0/", "/s/\(id)/p/65536/", "/s/\(id)/p/080/", "/s/\(id)/p/", "/s/\(id)/p/80x/", "/s/\(id)/p/%38/",
        "/s/\(id);x/", "/s/../\(id)/", "/s/\(id)/c/", "/s/\(id)/c//x", "/s/\(id)/c/Web/", "/s/\(id)/c/2web/",
        "/s/\(id)/c/my-app/", "/s/\(id)/c/%77eb/", "/s/\(id)/c/../x", "/s/\(id)/c/w_b/", "/s/\(id)/c/web;x/",
        "/s/\(id)/c/\(String(repeating: "a", count: 43))/", "/s/\(id)/c/web/p/0/",
    ])
    func pathThatOnlyLooksLikeAComputeIsNobodys(_ path: String) {
        #expect(status(resolve("localhost", path)) == 404)
    }

    @Test(arguments: [
        ("/s/\(id)/p/3000", "/s/\(id)/p/3000/"), ("/s/\(id)/p/3000?x=/y&z", "/s/\(id)/p/3000/?x=/y&z"),
        ("/s/\(id)/p/3000?", "/s/\(id)/p/3000/?"), ("/s/\(id)/p/3000/", nil), ("/s/\(id)/p/3000/a?b", nil),
        ("/s/\(id)/c/web/p/80?x", "/s/\(id)/c/web/p/80/?x"), ("/s/\(id)/p/0", nil), ("/s/\(id)", nil),
        ("/s/\(id)/p", nil),
    ])
    func aPortWithoutItsFinalSlashSaysWhereItIs(_ path: String, _ place: String?) {
        #expect(resolve("localhost", path).withFinalSlash == place)
        #expect(resolve("\(id)-80.localhost", path).withFinalSlash == nil)
        #expect(resolve("localhost", path, loopback: false).withFinalSlash == nil)
    }

    @Test func portsInPathFormAreForLoopbackListenersOnly() {
        #expect(status(resolve("localhost", "/s/\(id)/p/3000/", loopback: false)) == 404)
        #expect(resolve("localhost", "/s/\(id)/x", loopback: false).destination == .sidekick(id, child: nil))
    }

    @Test func pathFormDoesNotExistOnAComputesHost() {
        let resolution = resolve("\(id)-80.localhost", "/s/\(other)/x")
        #expect(resolution.destination == .port(id, 80, child: nil))
        #expect(resolution.target == "/s/\(other)/x")
    }
}
