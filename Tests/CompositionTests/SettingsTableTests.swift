import APIService
import Composition
import ComputeCore
import ComputeDomain
import Foundation
import LocalRuntime
import ServiceHost
import Testing

@Suite struct SettingsTableTests {
    func settings(_ environment: [String: String] = [:], flags: [String: String] = [:]) throws -> ServiceSettings {
        try ServiceSettings(
            flags: flags, environment: environment.merging(["HOME": "/home/somebody"]) { given, _ in given },
            executableDirectory: "/opt/bin")
    }

    @Test func whatNobodySetsHasTheDocumentedDefault() throws {
        let settings = try settings()
        #expect(settings.listen.description == "127.0.0.1:8080")
        #expect(settings.dataDirectory == "/home/somebody/.local/share/computesdk")
        #expect(settings.domain == "localhost")
        #expect(settings.urlStyle == .auto)
        #expect(settings.poolSize == 4)
        #expect(settings.isolation == .gvisor)
        #expect(settings.gvisor.image == "base")
        #expect(settings.gvisor.imageDirectory == "/home/somebody/.local/share/computesdk/images")
        #expect(settings.gvisor.memoryBytes == 512 << 20 && settings.gvisor.diskBytes == 2048 << 20)
        #expect(settings.gvisor.cpus == 1 && settings.gvisor.maxProcesses == 512 && settings.gvisor.internet)
        #expect(settings.gvisor.platform == nil && settings.gvisor.subnet == nil && settings.gvisor.dns == [])
        #expect(settings.maximumResources.diskBytes == 65536 << 20)
        #expect(settings.maxPools == 20)
        #expect(settings.maxFilesystems == 100 && settings.maxFilesystemsMiB == 102_400)
        #expect(settings.maxTemplates == 100)
        #expect(
            settings.quotas
                == GroupQuotas([
                    .computes: 100, .cpus: 100_000, .memoryMiB: 51_200, .storageMiB: 307_200, .createsPerMinute: 3000,
                    .poolMembers: 20,
                ]))
        #expect(settings.keepLimits == KeepLimits(usual: .seconds(7 * 86_400), most: .seconds(30 * 86_400)))
        #expect(settings.rateLimits == RateLimitSettings(perCredential: 500, perAddress: 50))
        #expect(settings.sidekick == "/opt/bin/sidekick")
        #expect(settings.apiEndpoint.description == "unix:/home/somebody/.local/share/computesdk/api.sock")
    }

    @Test(arguments: [
        ("COMPUTESDK_LISTEN", "8080"), ("COMPUTESDK_LISTEN", "unix:/x"), ("COMPUTESDK_DATA_DIR", "relative"),
        ("COMPUTESDK_DOMAIN", "http://x"), ("COMPUTESDK_DOMAIN", "a..b"), ("COMPUTESDK_DOMAIN", "x:80"),
        ("COMPUTESDK_URL_STYLE", "Host"), ("COMPUTESDK_POOL_SIZE", "-1"), ("COMPUTESDK_POOL_SIZE", "many"),
        ("COMPUTESDK_ISOLATION", "none"), ("COMPUTESDK_LOG_LEVEL", "loud"), ("COMPUTESDK_MAX_COMPUTES", "0"),
        ("COMPUTESDK_MAX_POOL_MEMBERS", "-1"), ("COMPUTESDK_MAX_POOLS", "few"), ("COMPUTESDK_MAX_FILESYSTEMS", "-1"),
        ("COMPUTESDK_MAX_FILESYSTEMS_MIB", "1g"),
        ("COMPUTESDK_KEEP_ON_SHUTDOWN", "maybe"), ("COMPUTESDK_API_ENDPOINT", "x"),
        ("COMPUTESDK_INTERNAL_ENDPOINT", "127.0.0.1:1"), ("COMPUTESDK_MEMORY_MIB", "63"),
        ("COMPUTESDK_MEMORY_MIB", "1g"), ("COMPUTESDK_CPUS", "0"), ("COMPUTESDK_CPUS", "nan"),
        ("COMPUTESDK_DISK_MIB", "-1"), ("COMPUTESDK_MAX_PROCESSES", "1"), ("COMPUTESDK_IMAGE", "oci:relative"),
        ("COMPUTESDK_IMAGE", "docker://x"), ("COMPUTESDK_IMAGE_DIR", "images"), ("COMPUTESDK_DNS", "dns.example"),
        ("COMPUTESDK_SUBNET", "10.0.0.0/8"), ("COMPUTESDK_SUBNET", "fd00::/64"), ("COMPUTESDK_INTERNET", "maybe"),
        ("COMPUTESDK_RUNSC_PLATFORM", "xen"), ("COMPUTESDK_MAX_CPUS", "many"),
        ("COMPUTESDK_MIGRATE_ON_START", "maybe"), ("COMPUTESDK_OIDC_ISSUER", "http://id.example"),
        ("COMPUTESDK_OIDC_ISSUER", "id.example"), ("COMPUTESDK_SIGNING_KEY_DAYS", "0"),
        ("COMPUTESDK_METRICS_LISTEN", "9100"), ("COMPUTESDK_METRICS_LISTEN", "unix:/x"),
        ("COMPUTESDK_TRUST_TRACEPARENT", "maybe"), ("COMPUTESDK_RATE_LIMIT", "-1"),
        ("COMPUTESDK_MAX_GROUP_CPUS", "0"), ("COMPUTESDK_MAX_GROUP_MEMORY_MIB", "1g"),
        ("COMPUTESDK_MAX_GROUP_STORAGE_MIB", "63"), ("COMPUTESDK_MAX_CREATES_PER_MINUTE", "0"),
        ("COMPUTESDK_RATE_LIMIT_ADDRESS", "many"), ("COMPUTESDK_STOPPED_DAYS", "0"),
        ("COMPUTESDK_MAX_STOPPED_DAYS", "week"),
        ("COMPUTESDK_SECRETS_KEY_FILE", "relative"), ("COMPUTESDK_SECRETS_KEYS", "a:short"),
    ])
    func aBadValueNamesItsSetting(_ variable: String, _ value: String) {
        let error = #expect(throws: SettingError.self) { try settings([variable: value]) }
        #expect(error?.description.hasPrefix("\(variable) (--") == true)
    }

    @Test(arguments: Settings.all.map(\.name))
    func everySettingIsAFlag(name: String) throws {
        #expect(try SettingFlags.values(of: ["--\(name)", "given"]) == [name: "given"])
    }

    /// Both directions: nothing undocumented, nothing documented that is not there.
    @Test func theDocumentationListsEverySettingWithItsFlag() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/configuration.md"), encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `--") }
        for setting in Settings.all {
            let start = "| `\(setting.flag)` | `\(setting.variable(prefix: Settings.prefix))` |"
            #expect(rows.contains { $0.hasPrefix(start) }, "\(setting.flag) is not documented")
        }
        #expect(rows.count == Settings.all.count)
    }
}
