import LocalRuntime
import Testing

@Suite struct ResolversTests {
    @Test(arguments: [
        ("nameserver 10.0.0.2\nnameserver 1.1.1.1\n", ["10.0.0.2", "1.1.1.1"]),
        ("# nameserver 9.9.9.9\nsearch example.com\n\tnameserver\t8.8.8.8 # first\noptions ndots:5", ["8.8.8.8"]),
        // As many as the C library asks.
        (
            "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4",
            ["1.0.0.1", "1.0.0.2", "1.0.0.3"]
        ),
        // The machine's own loopback is not the container's; and containers have no IPv6.
        ("nameserver 127.0.0.53\nnameserver ::1\nnameserver 2606:4700::1111\nnameserver 0.0.0.0", []),
        ("nameserver\nnameserver 1.2.3\nnameserver 1.2.3.256\nnameserver 1.2.3.4.5\nnameserver dns.example", []),
        ("nameserver 127.0.0.1\nnameserver 192.168.1.1", ["192.168.1.1"]), ("", []),
    ])
    func whatAContainerCanAskIsTaken(_ text: String, _ servers: [String]) {
        #expect(Resolvers.usable(in: text) == servers)
    }

    @Test func thereIsAlwaysSomebodyToAsk() { #expect(!Resolvers.ofThisMachine.isEmpty) }
}
