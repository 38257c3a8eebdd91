// swift-tools-version: 6.2
import PackageDescription

// Every target of ours is compiled with these settings; `scripts/check-architecture` fails when one is not,
// and Sources/ComputeCore/StrictSettings.swift does not compile without them.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

// The Sidekick must run in any image, so it is linked fully static. The libraries named here are the ones
// that the static Foundation needs and that the driver does not add by itself.
let fullyStatic: [LinkerSetting] = [
    .unsafeFlags([
        "-static-executable", "-l_FoundationCShims", "-l_FoundationCollections",
        "-lswiftSynchronization", "-lswift_StringProcessing", "-lswift_RegexParser",
    ])
]

// MARK: - Products of other packages

func nio(_ product: String) -> Target.Dependency { .product(name: product, package: "swift-nio") }
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let jwtKit = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTesting = Target.Dependency.product(name: "HummingbirdTesting", package: "hummingbird")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

// MARK: - Shapes of targets

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func binary(_ name: String, _ dependencies: [Target.Dependency], linker: [LinkerSetting] = []) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "cmd/\(name)", swiftSettings: strict, linkerSettings: linker)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
    name: "computesdk-operator",
    products: ["api", "gateway", "sidekick", "computesdk"].map { .executable(name: $0, targets: [$0]) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // T5: binaries, and the one place that joins services with adapters
        binary("api", ["Composition", argumentParser]),
        binary("gateway", ["Composition", argumentParser]),
        binary("computesdk", ["Composition", argumentParser]),
        binary("sidekick", ["SidekickService"], linker: fullyStatic),
        library(
            "Composition",
            [
                "APIService", "GatewayService", "SQLStore", "LocalRuntime", "SidekickClient", "WebhookClient",
                "PostgresClient", "ServiceHost", "SecretSealing", "PrometheusMetrics",
                "OCIImages", "LinuxHost", "HTTPServing", "ComputeRuntime", "ComputeDomain", "EventSourcing",
                "APIContract", "SidekickProtocol",
                "Auth", "ComputeCore", argumentParser, logging, lifecycle, unixSignals, asyncHTTPClient, crypto,
                coreMetrics,
                nio("NIOCore"),
                nio("NIOHTTP1"),
            ]),

        // T4: services
        library(
            "APIService",
            [
                "HTTPServing", "ComputeDomain", "EventSourcing", "ComputeRuntime", "APIContract", "SidekickProtocol",
                "Auth", "SecretSealing", "ComputeCore", hummingbird, httpTypes, nioHTTPTypes, logging, metrics,
                lifecycle, nio("NIOCore"), crypto,
            ]),
        library(
            "GatewayService",
            [
                "HTTPServing", "APIContract", "SidekickProtocol", "Auth", "ComputeCore", asyncHTTPClient, logging,
                metrics,
                lifecycle, nio("NIOCore"), nio("NIOHTTP1"), nio("NIOPosix"), crypto,
            ]),
        library(
            "SidekickService",
            [
                "HTTPServing", "WebSockets", "LinuxSystem", "Archives", "SidekickProtocol", "ComputeCore",
                nio("NIOCore"),
                nio("NIOHTTP1"), nio("NIOPosix"), crypto,
            ]),

        // T3: adapters
        library("SQLStore", ["ComputeDomain", "EventSourcing", "PostgresClient", "ComputeCore", grdb, logging]),
        library(
            "LocalRuntime",
            [
                "LinuxHost", "GVisor", "OCIImages", "ComputeRuntime", "SidekickProtocol", "ComputeCore", "CLinux",
                subprocess, systemPackage,
                crypto, logging,
            ]),
        library(
            "SidekickClient",
            [
                "SidekickProtocol", "ComputeCore", asyncHTTPClient, crypto, nio("NIOCore"), nio("NIOHTTP1"),
                nio("NIOFoundationCompat"),
            ]),

        library(
            "WebhookClient",
            ["ComputeDomain", "ComputeCore", asyncHTTPClient, nio("NIOCore"), nio("NIOHTTP1"), nio("NIOPosix")]),

        // T2: engines, with no word of the product in them
        library("HTTPServing", ["ComputeCore", nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"), nio("NIOWebSocket")]),
        library("WebSockets", ["HTTPServing", nio("NIOCore"), nio("NIOHTTP1"), nio("NIOWebSocket")]),
        library("LinuxSystem", ["CLinux"]),
        library("Archives", ["CZlib"]),
        library("LinuxHost", ["CLinux", "ComputeCore", crypto, subprocess, systemPackage]),
        library("GVisor", ["LinuxHost", "ComputeCore", subprocess, systemPackage]),
        library("OCIImages", ["LinuxHost", "ComputeCore", crypto]),
        library("PostgresClient", ["CPostgres", logging]),
        library("ServiceHost", ["ComputeCore", logging, lifecycle, configuration]),
        library("PrometheusMetrics", [coreMetrics]),

        // T1: vocabulary
        library("ComputeDomain", ["EventSourcing", "ComputeCore"]),
        library("EventSourcing", ["ComputeCore"]),
        library("ComputeRuntime", ["ComputeCore"]),
        library("APIContract", ["ComputeCore"]),
        library("SidekickProtocol", ["ComputeCore", crypto]),
        library("Auth", ["ComputeCore", crypto, jwtKit]),
        library("SecretSealing", ["ComputeCore", crypto]),

        // T0: ground
        library("ComputeCore", []),
        .target(name: "CLinux"),
        .systemLibrary(name: "CZlib"),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),

        // Doubles and contract suites that several test targets share
        .target(
            name: "TestSupport",
            dependencies: [
                "ComputeDomain", "EventSourcing", "ComputeRuntime", "SidekickProtocol", "PostgresClient", "ComputeCore",
                crypto,
            ],
            path: "Tests/TestSupport", swiftSettings: strict),

        // Measured from inside, so of this package; it starts a server as tests do
        .executableTarget(
            name: "store-bench",
            dependencies: [
                "SQLStore", "PostgresClient", "ComputeDomain", "EventSourcing", "TestSupport", "ComputeCore", grdb,
                logging,
            ],
            path: "Tests/StoreBenchmark", swiftSettings: strict),

        .executableTarget(
            name: "fairness-bench",
            dependencies: [
                "APIService", "APIContract", "Auth", "ComputeDomain", "EventSourcing", "SQLStore", "SecretSealing",
                "TestSupport", "ComputeCore", crypto, logging,
            ],
            path: "Tests/FairnessBenchmark", swiftSettings: strict),

        tests("ComputeCoreTests", ["ComputeCore"]),
        tests("PrometheusMetricsTests", ["PrometheusMetrics", coreMetrics]),
        tests("EventSourcingTests", ["EventSourcing", "ComputeDomain", "TestSupport", "ComputeCore"]),
        tests("ComputeDomainTests", ["ComputeDomain", "EventSourcing", "ComputeCore"]),
        tests("ComputeRuntimeTests", ["ComputeRuntime", "TestSupport", "ComputeCore"]),
        tests("SidekickProtocolTests", ["SidekickProtocol", "ComputeCore", crypto]),
        tests("AuthTests", ["Auth", "ComputeCore", crypto]),
        tests("SecretSealingTests", ["SecretSealing", "ComputeCore"]),
        tests("APIContractTests", ["APIContract", "ComputeCore"]),
        tests(
            "HTTPServingTests",
            [
                "HTTPServing", "WebSockets", "ComputeCore", nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
                nio("NIOWebSocket"), nio("NIOEmbedded"),
            ]),
        tests("LinuxSystemTests", ["LinuxSystem"]),
        tests("ArchivesTests", ["Archives"]),
        tests("LinuxHostTests", ["LinuxHost", "ComputeCore"]),
        tests("GVisorTests", ["GVisor", "LinuxHost", "ComputeCore"]),
        tests("OCIImagesTests", ["OCIImages", "LinuxHost", "ComputeCore", crypto]),
        tests("ServiceHostTests", ["ServiceHost", logging]),
        tests(
            "SQLStoreTests",
            ["SQLStore", "ComputeDomain", "EventSourcing", "TestSupport", "ComputeCore", grdb, logging]),
        tests("PostgresClientTests", ["PostgresClient"]),
        tests(
            "PostgresStoreTests",
            [
                "SQLStore", "PostgresClient", "APIService", "APIContract", "Auth", "ComputeDomain", "EventSourcing",
                "SecretSealing", "TestSupport", "ComputeCore", hummingbird, hummingbirdTesting, httpTypes, crypto,
                logging, lifecycle,
                nio("NIOCore"),
            ]),
        tests(
            "LocalRuntimeTests",
            [
                "LocalRuntime", "LinuxHost", "GVisor", "OCIImages", "SidekickClient", "SidekickProtocol",
                "ComputeRuntime", "TestSupport", "ComputeCore", asyncHTTPClient, crypto, logging, nio("NIOCore"),
                nio("NIOHTTP1"), nio("NIOFoundationCompat"),
            ]),
        tests(
            "SidekickServiceTests",
            [
                "SidekickService", "SidekickClient", "SidekickProtocol", "HTTPServing", "LinuxSystem", "ComputeCore",
                asyncHTTPClient, subprocess, crypto, nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
                nio("NIOWebSocket"),
            ]),
        tests(
            "WebhookClientTests",
            ["WebhookClient", "ComputeDomain", "ComputeCore", hummingbird, httpTypes, logging, nio("NIOCore")]),
        tests(
            "APIServiceTests",
            [
                "APIService", "ComputeDomain", "EventSourcing", "ComputeRuntime", "APIContract", "SidekickProtocol",
                "Auth", "HTTPServing", "SecretSealing", "TestSupport", "ComputeCore", hummingbird, hummingbirdTesting,
                httpTypes, logging, crypto, jwtKit, nio("NIOCore"), nio("NIOHTTP1"),
            ]),
        tests(
            "GatewayServiceTests",
            [
                "GatewayService", "HTTPServing", "APIContract", "SidekickProtocol", "Auth", "ComputeCore",
                asyncHTTPClient, logging, lifecycle, crypto, nio("NIOCore"), nio("NIOHTTP1"), nio("NIOPosix"),
                nio("NIOWebSocket"),
            ]),
        tests(
            "CompositionTests",
            [
                "Composition", "LocalRuntime", "ServiceHost", "SidekickProtocol", "APIContract", "TestSupport",
                "SidekickClient", "APIService", "Auth", "HTTPServing", "ComputeCore", "ComputeDomain", asyncHTTPClient,
                jwtKit,
                cryptoExtras,
                logging,
                subprocess, systemPackage, crypto, nio("NIOCore"), nio("NIOHTTP1"),
            ]),
    ]
)
