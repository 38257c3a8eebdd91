import APIService
package import ServiceHost

extension Settings {
    package static let rateLimit = Setting(
        "rate-limit", fallback: "500", "How many requests a second one key, session or member may send. 0: no limit.")
    package static let rateLimitAddress = Setting(
        "rate-limit-address", fallback: "50",
        "How many requests a second may come from one address without a good credential. 0: no limit.")

    static let limits = [rateLimit, rateLimitAddress]
}

extension RateLimitSettings {
    init(_ reader: SettingsReader) throws(SettingError) {
        self.init()
        let range = 0...1_000_000
        if let limit = try reader.integer(Settings.rateLimit, in: range) { perCredential = Int64(limit) }
        if let limit = try reader.integer(Settings.rateLimitAddress, in: range) { perAddress = Int64(limit) }
    }
}
