import APIContract
import Auth
package import ComputeCore
package import HTTPTypes
package import Hummingbird
import NIOCore

/// What a request for a magic link is: a person's arrival, which uses it up, or a look at it, which does not.
///
/// Links are looked at by whatever carries them: mail scanners, chat previews, browsers that load ahead. A browser says
/// of itself whether it navigates; programs that say nothing count as an arrival unless their name says what they are.
package enum MagicLinkVisit: Hashable, Sendable {
    case arrival
    /// Answered with this status and a page that says what the link is for.
    case look(status: Int)

    package init(method: HTTPRequest.Method, headers: HTTPFields) {
        guard method == .get else {
            self = .look(status: 200)
            return
        }
        let announced = Self.purposes.compactMap { headers[$0]?.lowercased() }
        if announced.contains(where: { $0.contains("prefetch") || $0.contains("preview") || $0.contains("prerender") })
        {
            // Not a success: a browser that loaded ahead asks again when its user really goes there.
            self = .look(status: 425)
            return
        }
        // An image, a frame or a script's request on some page: nobody has gone there.
        guard headers[Self.mode] ?? "navigate" == "navigate", headers[Self.destination] ?? "document" == "document"
        else {
            self = .look(status: 403)
            return
        }
        let agent = headers[.userAgent]?.lowercased() ?? ""
        self = Self.scanners.contains { agent.contains($0) } ? .look(status: 200) : .arrival
    }

    private static let purposes = ["Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"].map { HTTPField.Name($0)! }
    private static let mode = HTTPField.Name("Sec-Fetch-Mode")!
    private static let destination = HTTPField.Name("Sec-Fetch-Dest")!
    /// Parts of the names that programs which open other people's links give themselves.
    private static let scanners = [
        "bot", "crawl", "spider", "preview", "externalhit", "scan", "safelinks", "slack", "whatsapp", "embedly",
        "vkshare", "pagerenderer",
    ]

    /// How the link was reached, and so how what comes of it is handed over.
    package enum Place: Hashable, Sendable {
        case host(scheme: String)
        /// All computes share this origin: a cookie here would be everyone's.
        case path(ComputeID)
    }

    /// To where the link leads, with the session.
    package static func welcome(token: String, redirect: String, at place: Place) -> Response {
        var response = Response(
            status: .found,
            headers: [
                .cacheControl: "no-store", .contentLength: "0", HTTPField.Name("Referrer-Policy")!: "no-referrer",
            ])
        switch place {
        case .host(let scheme):
            response.headers[.location] = redirect
            response.headers[.setCookie] = SessionCookie.header(
                token: token, lifetime: CreateSession.defaultLifetime, scheme: scheme)
        case .path(let id): response.headers[.location] = "/s/\(id)" + redirect.withQuery("token=\(token)")
        }
        return response
    }
}

extension String {
    /// The same path with one more pair in its query, before the fragment.
    fileprivate func withQuery(_ pair: String) -> String {
        let end = utf8.firstIndex(of: UInt8(ascii: "#")) ?? endIndex
        return self[..<end] + (self[..<end].contains("?") ? "&" : "?") + pair + self[end...]
    }
}

/// The pages that a magic link may show. They say nothing about any compute.
enum MagicLinkPage {
    case unused, refused, full

    private var text: (title: String, body: String) {
        switch self {
        case .unused: ("Sign-in link", "Open this link in your browser to sign in. It works once.")
        case .refused:
            ("This link does not work", "It was used already, or its five minutes are over. Ask for a new one.")
        case .full: ("Too many sessions", "This sandbox has as many sessions as it may. The link still works later.")
        }
    }

    func response(_ status: HTTPResponse.Status) -> Response {
        let page = """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(text.title)</title>
            <style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}</style>
            </head>
            <body>
            <h1>\(text.title)</h1>
            <p>\(text.body)</p>
            </body>
            </html>

            """
        return Response(
            status: status,
            headers: [
                .contentType: "text/html; charset=utf-8", .cacheControl: "no-store",
                .contentSecurityPolicy:
                    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
                .xContentTypeOptions: "nosniff", HTTPField.Name("Referrer-Policy")!: "no-referrer",
            ], body: ResponseBody(byteBuffer: ByteBuffer(string: page)))
    }
}
