import ServiceHost
import Testing

@Suite struct SettingsTests {
    let size = Setting("pool-size", fallback: "4", "Members kept ready.")

    func reader(flags: [String: String] = [:], _ environment: [String: String] = [:]) -> SettingsReader {
        SettingsReader(prefix: "COMPUTESDK", flags: flags, environment: environment)
    }

    @Test func namesFollowFromOneAnother() {
        #expect(size.flag == "--pool-size")
        #expect(size.variable(prefix: "COMPUTESDK") == "COMPUTESDK_POOL_SIZE")
    }

    @Test func aFlagWinsOverAVariable() throws {
        let both = reader(flags: ["pool-size": "2"], ["COMPUTESDK_POOL_SIZE": "3"])
        #expect(try both.integer(size, in: 0...10) == 2)
        #expect(try reader(["COMPUTESDK_POOL_SIZE": "3"]).integer(size, in: 0...10) == 3)
    }

    @Test func anEmptyValueCountsAsNotSet() throws {
        #expect(try reader(["COMPUTESDK_POOL_SIZE": ""]).integer(size, in: 0...10) == nil)
        #expect(try reader().integer(size, in: 0...10) == nil)
    }

    @Test(arguments: ["x", "11", "-1", "2.5", "99999999999999999999"])
    func aBadNumberNamesItsSetting(_ text: String) {
        let error = #expect(throws: SettingError.self) {
            try reader(["COMPUTESDK_POOL_SIZE": text]).integer(size, in: 0...10)
        }
        #expect(error?.description == "COMPUTESDK_POOL_SIZE (--pool-size): must be a whole number from 0 to 10")
    }

    enum Style: String, CaseIterable { case auto, host, path }

    @Test func aChoiceListsWhatIsPossible() throws {
        let style = Setting("url-style", "…")
        #expect(try reader(["COMPUTESDK_URL_STYLE": "path"]).choice(style, Style.self) == .path)
        let error = #expect(throws: SettingError.self) {
            try reader(["COMPUTESDK_URL_STYLE": "Path"]).choice(style, Style.self)
        }
        #expect(error?.reason == "must be one of: auto, host, path")
    }
}
