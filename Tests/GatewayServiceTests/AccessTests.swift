import APIContract
import Auth
import ComputeCore
import GatewayService
import NIOHTTP1
import Testing

private let id = ComputeID("abcdefgh12345678wxyz")!

@Suite struct AccessTests {
    private func decide(
        _ method: HTTPMethod = .GET, _ path: String = "/files", _ headers: HTTPHeaders = [:], query: [String] = [],
        upgrade: Bool = false, form: Resolution.Form = .host, scheme: String = "http"
    ) -> SidekickAccess.Decision {
        SidekickAccess.decide(
            method: method, path: path[...], headers: headers, queryTokens: query, isUpgrade: upgrade, form: form,
            authority: Authority("\(id).localhost:8080"), scheme: scheme)
    }

    private func status(_ decision: SidekickAccess.Decision) -> Int? {
        if case .refused(let problem) = decision { problem.status } else { nil }
    }

    @Test func onlyThePublicRoutesNeedNoToken() {
        for path in ["/", "/health", "/ready"] {
            #expect(decide(.GET, path) == .anonymous)
            #expect(decide(.HEAD, path) == .anonymous)
            #expect(status(decide(.POST, path)) == 401)
            #expect(status(decide(.GET, path, upgrade: true)) == 401)
        }
        for path in ["/health/", "//health", "/Health", "/healthz", "/%68ealth", "/info", "/ws", "*", "/ready;x"] {
            #expect(status(decide(.GET, path)) == 401)
        }
    }

    @Test func tokenComesFromHeaderThenQueryThenCookie() {
        let cookie: HTTPHeaders = ["Cookie": "computesdk_session=c", "Sec-Fetch-Site": "same-origin"]
        #expect(decide(.GET, "/files", ["Authorization": "Bearer h"], query: ["q"]) == .needs(["h"]))
        #expect(decide(.GET, "/files", ["Authorization": "bEARER   h"]) == .needs(["h"]))
        #expect(decide(.GET, "/files", cookie, query: ["q"]) == .needs(["q"]))
        #expect(decide(.GET, "/files", cookie) == .needs(["c"]))
        #expect(status(decide(.GET, "/files", ["Authorization": "Basic h"])) == 401)
        #expect(status(decide(.GET, "/files", ["Authorization": "Bearer "])) == 401)
    }

    @Test func cookieNameFollowsTheScheme() {
        let both: HTTPHeaders = [
            "Cookie": "a=b; __Host-computesdk=s; computesdk_session=p", "Sec-Fetch-Site": "same-origin",
        ]
        #expect(decide(.GET, "/files", both, scheme: "https") == .needs(["s"]))
        #expect(decide(.GET, "/files", both, scheme: "http") == .needs(["p"]))
    }

    @Test func cookieCountsForOwnPagesAndNavigationsOnly() {
        func decide(_ method: HTTPMethod, _ extra: HTTPHeaders) -> Int? {
            var headers: HTTPHeaders = ["Cookie": "computesdk_session=c"]
            headers.add(contentsOf: extra)
            return status(self.decide(method, "/files", headers))
        }
        let navigation: HTTPHeaders = ["Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"]
        #expect(decide(.GET, navigation) == nil)
        #expect(decide(.HEAD, navigation) == nil)
        #expect(decide(.POST, navigation) == 403)
        #expect(decide(.GET, ["Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"]) == 403)
        #expect(decide(.GET, [:]) == 403)
        #expect(decide(.POST, ["Sec-Fetch-Site": "same-origin"]) == nil)
        #expect(decide(.POST, ["Sec-Fetch-Site": "same-site"]) == 403)
        #expect(decide(.POST, ["Origin": "http://\(id).localhost:8080"]) == nil)
        #expect(decide(.POST, ["Origin": "http://\(id.rawValue.uppercased()).localhost:8080"]) == nil)
        #expect(decide(.POST, ["Origin": "https://\(id).localhost:8080"]) == 403)
        #expect(decide(.POST, ["Origin": "http://\(id).localhost"]) == 403)
        #expect(decide(.POST, ["Origin": "http://\(id)-80.localhost:8080"]) == 403)
        #expect(decide(.POST, ["Origin": "null", "Sec-Fetch-Site": "same-origin"]) == 403)
    }

    @Test func cookieUpgradeNeedsItsOwnOrigin() {
        func decide(_ extra: HTTPHeaders) -> Int? {
            var headers: HTTPHeaders = ["Cookie": "computesdk_session=c"]
            headers.add(contentsOf: extra)
            return status(self.decide(.GET, "/ws", headers, upgrade: true))
        }
        #expect(decide([:]) == 403)
        #expect(decide(["Sec-Fetch-Site": "same-origin"]) == 403)
        #expect(decide(["Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"]) == 403)
        #expect(decide(["Origin": "http://evil.example"]) == 403)
        #expect(decide(["Origin": "http://\(id).localhost:8080"]) == nil)
    }

    @Test func cookiesDoNotCountInThePathForm() {
        let headers: HTTPHeaders = ["Cookie": "computesdk_session=c", "Sec-Fetch-Site": "same-origin"]
        #expect(status(decide(.GET, "/files", headers, form: .path)) == 401)
    }

    @Test func tokenIsForItsComputeAndGroupOnly() {
        let route = RouteRecord(
            computeId: id, group: .default, state: .running, generation: .first, sidekick: nil, portHost: nil)
        var token = AccessToken(
            computeID: id, group: .default, kind: .session, tokenID: "t", issuedAt: WallTime(milliseconds: 0),
            expiresAt: WallTime(milliseconds: 1))
        #expect(SidekickAccess.objection(to: token, route: route) == nil)
        token.group = GroupID("other")
        #expect(SidekickAccess.objection(to: token, route: route)?.status == 403)
        token.group = .default
        token.computeID = ComputeID("zzzzzzzz00000000zzzz")!
        #expect(SidekickAccess.objection(to: token, route: route)?.status == 403)
    }

    // MARK: - The boundary to user code

    /// A JWT whose claims are `{"iss":"computesdk"}`.
    private let ours = "e30.eyJpc3MiOiJjb21wdXRlc2RrIn0.c2ln"

    @Test func ourCredentialsAreKnownByTheirShape() {
        #expect(OwnCredential.isOne(ours))
        #expect(OwnCredential.isOne("csdk_" + String(repeating: "0f", count: 20)))
        for other in [
            "", "x", "..", "e30.e30.c2ln", "e30.eyJpc3MiOiJvdGhlciJ9.c2ln", "e30.eyJpc3MiOiJjb21wdXRlc2RrIn0",
            "csdk_", "csdk_" + String(repeating: "0F", count: 20), "csdk_" + String(repeating: "0f", count: 21),
        ] { #expect(!OwnCredential.isOne(other)) }
    }

    @Test func onlyOurCredentialIsTakenFromAnAppsRequest() {
        #expect(OwnCredential.cut(from: "/x?token=app&a=1&token=\(ours)") == "/x?token=app&a=1")
        #expect(OwnCredential.cut(from: "/x?token=app%2F&b") == "/x?token=app%2F&b")
        #expect(OwnCredential.cut(from: "/x?token=" + ours.replacing(".", with: "%2e")) == "/x")
        for value in ["Bearer \(ours)", "bearer  \(ours)", ours, "Bearer csdk_" + String(repeating: "0", count: 40)] {
            var headers: HTTPHeaders = ["Authorization": value]
            OwnCredential.removeAuthorization(from: &headers)
            #expect(headers.isEmpty)
        }
        for value in ["Bearer app", "Basic eDp5", "Bearer e30.e30.c2ln"] {
            var headers: HTTPHeaders = ["Authorization": value]
            OwnCredential.removeAuthorization(from: &headers)
            #expect(headers["authorization"] == [value])
        }
    }

    @Test func ourCredentialsStayOut() {
        var headers: HTTPHeaders = [
            "Cookie": "a=1; computesdk_session=s; b=2;__Host-computesdk=x", "X-ComputeSDK-Token": "t",
            "X-ComputeSDK-API-Key": "k", "Referer": "http://h/?token=\(ours)&token=theirs",
            "Authorization": "Basic app",
        ]
        UserCodeBoundary.clean(request: &headers, form: .host)
        #expect(
            headers == ["Cookie": "a=1; b=2", "Referer": "http://h/?token=theirs", "Authorization": "Basic app"]
                as HTTPHeaders
                || Set(headers.map { "\($0.name): \($0.value)" })
                    == ["Cookie: a=1; b=2", "Referer: http://h/?token=theirs", "Authorization: Basic app"]
        )
        var path: HTTPHeaders = ["Cookie": "a=1"]
        UserCodeBoundary.clean(request: &path, form: .path)
        #expect(path.isEmpty)
    }

    @Test func untouchedCookiesKeepTheirBytes() {
        var headers: HTTPHeaders = ["Cookie": "a=1;b=\"x, y\" ;  c"]
        UserCodeBoundary.clean(request: &headers, form: .host)
        #expect(headers["cookie"] == ["a=1;b=\"x, y\" ;  c"])
    }

    @Test func userCodeCannotPlantOurCookies() {
        var headers: HTTPHeaders = [
            "Set-Cookie": "app=1; Path=/", "set-cookie": "computesdk_session=x; Domain=localhost",
        ]
        UserCodeBoundary.clean(response: &headers, form: .host)
        #expect(headers["set-cookie"] == ["app=1; Path=/"])
    }

    @Test func answersInThePathFormAreSandboxed() {
        var headers: HTTPHeaders = [
            "Set-Cookie": "a=1", "Clear-Site-Data": "*", "Content-Security-Policy": "default-src *",
        ]
        UserCodeBoundary.clean(response: &headers, form: .path)
        #expect(headers["set-cookie"].isEmpty && headers["clear-site-data"].isEmpty)
        #expect(headers["content-security-policy"].contains("sandbox allow-scripts allow-forms"))
        #expect(headers["x-content-type-options"] == ["nosniff"])
    }
}
