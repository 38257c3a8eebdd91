package import ComputeCore
import FoundationEssentials
package import NIOHTTP1

/// Turns a problem into an answer: the one error body for programs, a small page for people.
package struct ProblemAnswer: Sendable {
    package let status: HTTPResponseStatus
    package let headers: HTTPHeaders
    package let body: [UInt8]

    package init(_ problem: Problem, requestID: RequestID, asPage: Bool) {
        status = HTTPResponseStatus(statusCode: problem.status)
        var headers: HTTPHeaders = ["Cache-Control": "no-store"]
        if let seconds = problem.retryAfterSeconds { headers.add(name: "Retry-After", value: String(seconds)) }
        if problem.status == 401 { headers.add(name: "WWW-Authenticate", value: "Bearer") }
        if asPage {
            headers.add(name: "Content-Type", value: "text/html; charset=utf-8")
            headers.add(
                name: "Content-Security-Policy",
                value: "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
            headers.add(name: "X-Content-Type-Options", value: "nosniff")
            headers.add(name: "Referrer-Policy", value: "no-referrer")
            body = Array(Self.page(problem, title: status.reasonPhrase, requestID: requestID).utf8)
        } else {
            headers.add(name: "Content-Type", value: "application/json")
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            // A value of strings and booleans always encodes.
            body = (try? encoder.encode(problem.body(requestID: requestID))).map(Array.init) ?? []
        }
        self.headers = headers
    }

    /// Whether the client is a person's browser: those name `text/html` before anything else.
    package static func wantsPage(_ headers: HTTPHeaders) -> Bool {
        let first = headers.first(name: "accept")?.split(separator: ",").first?.split(separator: ";").first
        return first?.lowercased().drop(while: { $0 == " " }) == "text/html"
    }

    private static func page(_ problem: Problem, title: String, requestID: RequestID) -> String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(problem.status) \(escaped(title))</title>
        <style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}\
        p.id{color:#767676;font-size:.8rem}</style>
        </head>
        <body>
        <h1>\(problem.status) \(escaped(title))</h1>
        <p>\(escaped(problem.message))</p>
        <p class="id">\(escaped(requestID.rawValue))</p>
        </body>
        </html>

        """
    }

    /// Messages may quote what a client sent.
    private static func escaped(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.append(character)
            }
        }
        return out
    }
}
