import APIContract
import ComputeCore
import Testing

struct PublicURLsTests {
    private let id = ComputeID("abcdefgh12")!

    @Test func hostStyleGivesEachComputeAHost() {
        let urls = PublicURLs(style: .host, scheme: "http", domain: "localhost", port: 8080)
        #expect(urls.url(of: id) == "http://abcdefgh12.localhost:8080")
        #expect(urls.portURLTemplate(of: id) == "http://abcdefgh12-{port}.localhost:8080")
    }

    @Test(arguments: [("http", 80), ("https", 443)]) func theSchemesOwnPortIsLeftOut(_ scheme: String, _ port: Int) {
        let urls = PublicURLs(style: .host, scheme: scheme, domain: "s.example.com", port: port)
        #expect(urls.url(of: id) == "\(scheme)://abcdefgh12.s.example.com")
    }

    @Test func pathStyleNeedsNoNames() {
        let urls = PublicURLs(style: .path, scheme: "http", domain: "::1", port: 443)
        #expect(urls.url(of: id) == "http://[::1]:443/s/abcdefgh12")
        #expect(urls.portURLTemplate(of: id) == "http://[::1]:443/s/abcdefgh12/p/{port}")
    }

    @Test func pathStyleServesPortsOnlyWhereOriginsMayBeShared() {
        let urls = PublicURLs(
            style: .path, scheme: "https", domain: "x.example", port: 443, pathStyleServesPorts: false)
        #expect(urls.portURLTemplate(of: id) == nil)
    }
}
