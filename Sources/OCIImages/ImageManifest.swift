import ComputeCore
import Crypto
import Foundation

/// What a registry or layout answers for a name: one image's manifest, or an index of several for different machines.
/// Docker's second schema and OCI's have the same fields.
package struct ImageManifest: Decodable, Sendable {
    package struct Descriptor: Decodable, Sendable {
        package struct Platform: Decodable, Sendable {
            var architecture: String?
            var os: String?
            var variant: String?
        }
        package var digest: String
        var size: Int64
        var platform: Platform?
    }
    var schemaVersion: Int
    var config: Descriptor?
    var layers: [Descriptor]?
    var manifests: [Descriptor]?

    /// More layers than any builder makes.
    static let maximumLayers = 512

    package init(text: String) throws(ImageError) {
        do { self = try JSONDecoder().decode(Self.self, from: Data(text.utf8)) } catch {
            throw ImageError(.unsupported, "the image's manifest cannot be read", cause: "\(error)")
        }
        guard schemaVersion == 2, manifests != nil || (config != nil && layers != nil) else {
            throw ImageError(.unsupported, "the image's manifest has an old or unknown format")
        }
        let named = (layers ?? []) + (manifests ?? []) + (config.map { [$0] } ?? [])
        guard named.count <= Self.maximumLayers, named.allSatisfy({ ImageDigest.isDigest($0.digest) && $0.size >= 0 })
        else { throw ImageError(.unsupported, "the image's manifest names too much, or something without a SHA-256") }
    }

    /// Of an index: the image for this kind of machine.
    package func chosen(architecture: String) throws(ImageError) -> Descriptor? {
        guard let manifests else { return nil }
        let fitting = manifests.filter { $0.platform?.os == "linux" && $0.platform?.architecture == architecture }
        // Of several variants the first is what the publisher lists as the plainest.
        guard let first = fitting.first else {
            throw ImageError(.unsupported, "the image is not made for linux/\(architecture)")
        }
        return first
    }

    /// What has to be fetched. Each addition is checked: the numbers are the registry's.
    package func fetchBytes() throws(ImageError) -> Int64 {
        var sum: Int64 = 0
        for layer in layers ?? [] {
            let (next, overflow) = sum.addingReportingOverflow(layer.size)
            guard !overflow else { throw ImageError(.tooLarge, "the image's manifest names absurd sizes") }
            sum = next
        }
        return sum
    }

    static func digest(of text: String) -> String { "sha256:" + SHA256.hash(data: Data(text.utf8)).hex }
}

/// The part of an image's configuration that says how to run it.
struct ImageConfiguration: Decodable, Sendable {
    struct Run: Decodable, Sendable {
        var user: String?
        var environment: [String]?
        var entrypoint: [String]?
        var command: [String]?
        var workingDirectory: String?

        enum CodingKeys: String, CodingKey {
            case user = "User"
            case environment = "Env"
            case entrypoint = "Entrypoint"
            case command = "Cmd"
            case workingDirectory = "WorkingDir"
        }
    }
    var architecture: String?
    var os: String?
    var config: Run?

    func check(architecture wanted: String) throws(ImageError) {
        guard architecture ?? wanted == wanted, os ?? "linux" == "linux" else {
            throw ImageError(
                .unsupported, "the image is made for \(os ?? "?")/\(architecture ?? "?"), not linux/\(wanted)")
        }
        // They become an environment and a working directory; neither can hold a NUL.
        let texts = (config?.environment ?? []) + (config?.entrypoint ?? []) + (config?.command ?? [])
        guard (texts + [config?.workingDirectory ?? "", config?.user ?? ""]).allSatisfy({ !$0.utf8.contains(0) }),
            config?.workingDirectory.map({ $0.isEmpty || $0.hasPrefix("/") }) ?? true
        else { throw ImageError(.unsupported, "the image's configuration is not usable") }
    }
}

/// This machine's kind, in the words of images.
#if arch(arm64)
    package let machineArchitecture = "arm64"
#else
    package let machineArchitecture = "amd64"
#endif
