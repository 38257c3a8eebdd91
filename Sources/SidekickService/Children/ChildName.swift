import ComputeCore

/// The name of a child directory: one that fits behind the compute's id in a host name, `<id>-<name>`.
package struct ChildName: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let rawValue: String

    /// - Returns: nil when it is not a lower-case letter and then letters and digits.
    package init?(_ text: some StringProtocol) {
        guard (1...30).contains(text.utf8.count), let first = text.utf8.first, Self.isLetter(first),
            text.utf8.allSatisfy({ Self.isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        rawValue = String(text)
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

    package var description: String { rawValue }
    package static func < (a: ChildName, b: ChildName) -> Bool { a.rawValue < b.rawValue }

    /// The URL of a child, from its compute's: `https://<id>.<domain>` or `http://host/s/<id>`.
    package func url(of compute: ComputeContext) -> String {
        let id = compute.computeID.rawValue
        let url = compute.url
        if url.hasSuffix("/s/\(id)") { return "\(url)/c/\(rawValue)" }
        guard let range = url.firstRange(of: "//\(id).") else { return "\(url)/c/\(rawValue)" }
        return "\(url[..<range.lowerBound])//\(id)-\(rawValue).\(url[range.upperBound...])"
    }

    /// What stands in host names.
    package func subdomain(of compute: ComputeContext) -> String { "\(compute.computeID)-\(rawValue)" }
}

extension ComputeContext {
    /// As a child sees it: its directory is the working directory.
    package func child(_ name: ChildName, in directory: String) -> ComputeContext {
        ComputeContext(
            computeID: computeID, env: env, directory: directory, user: user, url: name.url(of: self),
            portURLTemplate: portURLTemplate, timeoutMs: timeoutMs)
    }
}
