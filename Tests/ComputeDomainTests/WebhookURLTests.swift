import ComputeCore
import ComputeDomain
import Testing

struct WebhookURLTests {
    @Test(arguments: [
        ("https://a.example", "https://a.example/", "a.example", 443),
        ("HTTPS://A.Example:443/x", "https://a.example/x", "a.example", 443),
        ("https://a.example:8443?q=1", "https://a.example:8443/?q=1", "a.example", 8443),
        ("http://[FD00::1]:80/p", "http://[fd00::1]/p", "fd00::1", 80),
        ("https://10.0.0.1/a/b?c", "https://10.0.0.1/a/b?c", "10.0.0.1", 443),
    ])
    func isTakenApartOnce(_ text: String, _ written: String, _ host: String, _ port: Int) throws {
        let url = try WebhookURL(text)
        #expect(url.text == written && url.host == host && url.port == port)
        #expect(try WebhookURL(url.text) == url)
        #expect(!url.origin.dropFirst(8).contains("/"))
    }

    @Test(arguments: [
        "", "a.example", "//a.example", "file:///etc/passwd", "gopher://a", "https://", "https:///x", "https://@a",
        "https://a@b", "https://a:b", "https://a:0", "https://a:65536", "https://a:", "https://a\\b", "https://a/#f",
        "https://[::1", "https://::1/", "https://[g::]/", "https://[a.example]/", "https://ä.example", "https://a /",
        "https://a\n/", "https://%31%32/", "https://a,b/",
    ])
    func whatIsNoneIsRefused(_ text: String) {
        let problem = #expect(throws: Problem.self) { try WebhookURL(text) }
        #expect(problem?.status == 400 && problem?.field == "url")
    }
}
