/// Names an image: `base`, a registry's (`python:3.12-slim`, `host:5000/team/app@sha256:…`), or `oci:/folder[:tag]`.
///
/// It ends up in command lines and decides which hosts this machine talks to, so nothing gets past `init` that is not
/// exactly of one of these shapes.
package struct ImageReference: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        /// The image that is built on this machine.
        case base
        case registry(RegistryReference)
        /// An OCI layout on this machine. A nil tag means its only image.
        case layout(folder: String, tag: String?)
    }
    package let kind: Kind

    package static let base = ImageReference(kind: .base)

    private init(kind: Kind) { self.kind = kind }

    /// From the operator: settings and command line.
    package init(_ text: String) throws(ImageError) {
        if text == "base" {
            kind = .base
        } else if text.hasPrefix("oci:") {
            kind = try Self.layout(text.dropFirst(4))
        } else {
            kind = .registry(try RegistryReference(text))
        }
    }

    /// From somebody who may use images and is not the operator: no folders of this machine, and no registry on it or
    /// named by an address that is not public. We ask from the operator's network, where a stranger must not look around.
    /// - Parameters:
    ///   - trusted: registries (`host` or `host:port`) that the operator lists, wherever they are.
    ///   - own: this machine's addresses. What listens there may take us for a neighbour, be it public or not.
    package init(
        fromRequest text: String, trusted: Set<String> = [], own: Set<String> = []
    ) throws(ImageError) {
        try self.init(text)
        switch kind {
        case .base: break
        case .layout: throw ImageError(.invalidReference, "an image must be named as in a registry, or be base")
        case .registry(let named):
            let isOpen = named.isPublic && named.host.map { own.contains(String($0)) } != true
            guard isOpen || named.registry.map(trusted.contains) == true else {
                throw ImageError(.invalidReference, "images may not be fetched from \(named.registry ?? "there")")
            }
        }
    }

    package var description: String {
        switch kind {
        case .base: "base"
        case .registry(let reference): reference.description
        case .layout(let folder, let tag): "oci:\(folder)" + (tag.map { ":\($0)" } ?? "")
        }
    }

    private static func layout(_ text: Substring) throws(ImageError) -> Kind {
        // The tools split at colons and know no way to quote one.
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let folder = String(parts[0])
        guard folder.hasPrefix("/"), folder.utf8.count <= 1024,
            folder.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F && $0 != "," })
        else {
            throw ImageError(
                .invalidReference,
                "an OCI layout is oci:/folder or oci:/folder:tag, without colon or comma in the folder")
        }
        guard parts.count == 2 else { return .layout(folder: folder, tag: nil) }
        let tag = String(parts[1])
        guard RegistryReference.isTag(tag) else {
            throw ImageError(
                .invalidReference, "the tag of an OCI layout has letters, digits, dots, dashes or underscores")
        }
        return .layout(folder: folder, tag: tag)
    }
}
