import ComputeCore

/// A path inside a compute that a create names: absolute, and the same however it is read.
package enum AbsolutePath {
    package static let maxBytes = 1024

    /// - Returns: its parts, one at least.
    static func parts(of path: String, field: String) throws(Problem) -> ArraySlice<Substring> {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count <= maxBytes, !parts.isEmpty,
            parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255 && !$0.utf8.contains(0) })
        else {
            throw .invalid(
                field, "\(field) must be an absolute path of at most \(maxBytes) bytes without empty parts, . and ..")
        }
        return parts
    }
}
