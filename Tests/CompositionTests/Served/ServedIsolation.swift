import Foundation
import Testing

/// What keeps the computes of a served system apart.
enum ServedIsolation: Sendable, Hashable {
    case process
    case gvisor(GVisorPair)

    /// What `serve` is told, as environment variables.
    var settings: [String: String] {
        switch self {
        case .process: ["COMPUTESDK_ISOLATION": "process"]
        case .gvisor(let pair):
            [
                "COMPUTESDK_ISOLATION": "gvisor", "COMPUTESDK_RUNSC": pair.runsc,
                "COMPUTESDK_RUNSC_PLATFORM": pair.platform, "COMPUTESDK_IMAGE_DIR": GVisorPair.images,
            ]
        }
    }
}

/// A gVisor that this machine has: an executable, and how it catches system calls.
struct GVisorPair: Sendable, Hashable, CustomTestStringConvertible {
    /// `packaged` or `modern`.
    var origin: String
    var runsc: String
    var platform: String

    var testDescription: String { "\(origin) runsc on \(platform)" }

    static let packaged = executable(named: "runsc").map {
        GVisorPair(origin: "packaged", runsc: $0, platform: "ptrace")
    }
    /// A newer build than the distribution's, where somebody names one.
    static let modern: [GVisorPair] =
        ProcessInfo.processInfo.environment["COMPUTESDK_TEST_RUNSC_MODERN"].flatMap(executable(named:)).map { runsc in
            ["systrap", "ptrace"].map { GVisorPair(origin: "modern", runsc: runsc, platform: $0) }
        } ?? []

    /// Containers need namespaces, mounts and control groups, so nothing of this runs without root.
    static let available: [GVisorPair] = geteuid() == 0 ? (packaged.map { [$0] } ?? []) + modern : []

    /// Shared by all tests and kept between runs: `make base-image` fills it, else the first system does.
    static let images = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: ".build/images").path

    private static func executable(named name: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin"
        let candidates = name.contains("/") ? [name] : path.split(separator: ":").map { "\($0)/\(name)" }
        return candidates.first { access($0, X_OK) == 0 }
    }
}

/// That the newer gVisor is covered is worth a line of its own in the count.
@Suite struct ModernGVisorTests {
    // Skipped where COMPUTESDK_TEST_RUNSC_MODERN names no executable, or nobody is root.
    @Test(.enabled(if: geteuid() == 0 && !GVisorPair.modern.isEmpty))
    func theTestsUnderGVisorCoverANewerBuildThanThePackagedOne() throws {
        #expect(GVisorPair.available.contains { $0.platform == "systrap" })
        #expect(GVisorPair.modern.first?.runsc != GVisorPair.packaged?.runsc)
    }
}
