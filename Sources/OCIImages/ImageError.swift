import LinuxHost

/// Why there is no image.
package struct ImageError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// The text names no image, or one that may not be named here.
        case invalidReference
        /// The registry or folder has no such image, or does not show it to us.
        case notFound
        /// It is there and cannot be used: another architecture, an unknown format.
        case unsupported
        /// It breaks a rule of size.
        case tooLarge
        /// This machine's disk is too full for it.
        case noSpace
        /// This machine cannot do it: a tool is missing, or the rights are.
        case cannotRun
        /// The registry did not answer or a tool failed; another attempt may succeed.
        case unavailable
        case deadlineExceeded
        case cancelled
        /// Something is running on it.
        case inUse
    }
    package var code: Code
    package var message: String
    package var cause: String?

    package init(_ code: Code, _ message: String, cause: String? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { cause.map { "\(message) (\($0))" } ?? message }
}

extension ImageError {
    /// What a tool's failure means for an image.
    init(_ error: ToolError, doing what: String) {
        let (code, reason): (Code, String?) =
            switch error.code {
            case .missing, .cannotRun: (.cannotRun, nil)
            case .failed: Self.meaning(ofWords: error.detail)
            case .deadlineExceeded: (.deadlineExceeded, nil)
            case .cancelled: (.cancelled, nil)
            }
        self.init(code, reason.map { "\(what): \($0)" } ?? what, cause: "\(error)")
    }

    /// The tools say what happened in words only. What is not known here counts as worth another attempt.
    /// - Returns: with the reason in words of ours, which anybody may read: theirs hold addresses and paths of this site.
    package static func meaning(ofWords text: String) -> (Code, reason: String?) {
        let text = text.lowercased()
        func says(_ words: String...) -> Bool { words.contains { text.contains($0) } }
        if says("no space left on device", "disk quota exceeded") { return (.noSpace, nil) }
        if says("proxyconnect") { return (.unavailable, nil) }
        if says("no such host") { return (.notFound, "the name of its registry has no address") }
        if says("toomanyrequests: ", "too many requests") {
            return (.unavailable, "its registry is asked too often from here")
        }
        // Phrases with a space in them: names of images, which are in these texts too, have none.
        if says(
            "manifest unknown", "name unknown", "repository name not known", "404 (not found)", "404 not found",
            "statuscode: 404")
        {
            return (.notFound, "its registry has no such image")
        }
        if says(
            "unauthorized: ", "authentication required", "access denied", "is denied", "denied: ", "403 (forbidden)",
            "403 forbidden", "401 (unauthorized)", "401 unauthorized")
        {
            return (.notFound, "its registry has no such image, or does not show it")
        }
        if says("no such file or directory", "no descriptor found") { return (.notFound, nil) }
        if says("no image found in manifest list", "no image found in image index", "unsupported manifest") {
            return (.unsupported, nil)
        }
        if says(
            "dial tcp", "connection refused", "i/o timeout", "tls: ", ": eof", "connection reset", "server misbehaving")
        {
            return (.unavailable, "its registry cannot be reached")
        }
        return (.unavailable, nil)
    }
}
