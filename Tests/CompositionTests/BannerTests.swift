import Composition
import Testing

@Suite struct BannerTests {
    @Test func aFreshKeyIsShownAndAKeptOneIsNot() {
        let fresh = Banner(url: "http://h", key: .new("csdk_x", file: "/d/api-key"), isolationWarning: true).text
        #expect(fresh.contains("csdk_x") && fresh.contains("NOT ISOLATED"))
        let kept = Banner(url: "http://h", key: .keptIn(file: "/d/api-key"), isolationWarning: false).text
        #expect(kept.contains(#"X-ComputeSDK-API-Key: $(cat '/d/api-key')""#) && !kept.contains("NOT ISOLATED"))
    }
}
