package import NIOHTTP1

/// What crosses between a client and code that is not ours: our credentials stay out on the way in, and what
/// would act on a shared origin stays out on the way back.
package enum UserCodeBoundary {
    /// Before a request goes to a Sidekick or a port. `Authorization` is decided by the caller, because on a
    /// port host it is usually the app's own.
    package static func clean(request headers: inout HTTPHeaders, form: Resolution.Form) {
        for name in ["x-computesdk-token", "x-computesdk-api-key"] { headers.remove(name: name) }
        // A page that was opened with ?token= names its own address in every request it makes.
        if let referer = headers.first(name: "referer") {
            headers.replaceOrAdd(name: "Referer", value: OwnCredential.cut(from: referer))
        }
        switch form {
        case .host: Cookies.removeOurs(from: &headers)
        // Cookies of a shared origin belong to whoever set them, which is never this compute.
        case .path: headers.remove(name: "cookie")
        }
    }

    /// Before an answer of a Sidekick or a port goes to the client.
    package static func clean(response headers: inout HTTPHeaders, form: Resolution.Form) {
        switch form {
        case .host: Cookies.removePlanted(from: &headers)
        case .path:
            // These act on the whole origin, which is also the API's.
            for name in [
                "set-cookie", "clear-site-data", "strict-transport-security", "service-worker-allowed",
                "access-control-allow-credentials", "x-content-type-options",
            ] { headers.remove(name: name) }
            // A further policy can only narrow the upstream's own, so both are sent.
            headers.add(name: "Content-Security-Policy", value: "sandbox allow-scripts allow-forms")
            headers.add(name: "X-Content-Type-Options", value: "nosniff")
        }
    }
}
