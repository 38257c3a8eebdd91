import ComputeCore
import Testing

@Suite struct EndpointTests {
    @Test(arguments: ["127.0.0.1:8080", "[::1]:80", "localhost:0", "unix:/run/x.sock", "unix:relative.sock"])
    func readsBackWhatItPrints(_ text: String) {
        #expect(Endpoint(text)?.description == text)
    }

    @Test(arguments: ["", "127.0.0.1", ":80", "host:", "host:-1", "host:65536", "host:8o", "::1:80", "unix:", "[]:80"])
    func refusesWhatIsNoEndpoint(_ text: String) {
        #expect(Endpoint(text) == nil)
    }
}
