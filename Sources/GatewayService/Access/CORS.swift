package import NIOHTTP1

/// Any page may call a Sidekick with a token of its own; none may use the visitor's cookies.
package enum CORS {
    package static func isPreflight(method: HTTPMethod, headers: HTTPHeaders) -> Bool {
        method == .OPTIONS && headers.contains(name: "origin")
            && headers.contains(name: "access-control-request-method")
    }

    package static let preflightAnswer: HTTPHeaders = [
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "Access-Control-Allow-Headers":
            """
        Authorization, Content-Type, X-Request-Timeout, Range, If-Range, If-None-Match, If-Match, Upload-Offset, \
        X-Content-SHA256
        """,
        // Browsers cap it at two hours; the answer never changes.
        "Access-Control-Max-Age": "7200",
    ]

    /// What a page needs to load a part of a file, to go on with an upload, and to ask again later.
    private static let exposed =
        """
        X-Request-Id, Retry-After, Accept-Ranges, Content-Length, Content-Range, Content-Disposition, ETag, \
        Last-Modified, Upload-Offset, X-Content-SHA256
        """

    /// Replaces whatever the upstream said: user code must not be able to allow credentials.
    package static func apply(to headers: inout HTTPHeaders) {
        for name in [
            "access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers",
        ] { headers.remove(name: name) }
        headers.add(name: "Access-Control-Allow-Origin", value: "*")
        headers.add(name: "Access-Control-Expose-Headers", value: exposed)
    }
}
