/// The cookie that a magic link leaves in a browser: a session token.
package enum SessionCookie {
    /// The name under which a session is accepted. `__Host-` makes the browser refuse it from any other host,
    /// but exists on https only.
    package static func name(scheme: String) -> String {
        scheme == "https" ? "__Host-computesdk" : "computesdk_session"
    }

    /// The value of `Set-Cookie`. Lax: with Strict the page that a link leads to would come without the cookie, since
    /// the visit began on another site.
    package static func header(token: String, lifetime: Duration, scheme: String) -> String {
        let secure = scheme == "https" ? " Secure;" : ""
        return "\(name(scheme: scheme))=\(token); Path=/;\(secure) HttpOnly; SameSite=Lax; "
            + "Max-Age=\(lifetime.components.seconds)"
    }
}
