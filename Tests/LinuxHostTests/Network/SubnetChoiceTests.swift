import LinuxHost
import Testing

@Suite struct SubnetChoiceTests {
    @Test func networksAreReadAndCompared() throws {
        let network = try #require(IPv4Network("10.1.5.7/22"))
        #expect(network.description == "10.1.4.0/22")
        #expect(IPv4Network.text(network.last) == "10.1.7.255")
        #expect(network.overlaps(try #require(IPv4Network("10.1.7.255"))))
        #expect(!network.overlaps(try #require(IPv4Network("10.1.8.0/24"))))
        #expect(try #require(IPv4Network("0.0.0.0/0")).contains(network))
        #expect(IPv4Network.hardwareAddress(of: network.first + 2) == "0a:58:0a:01:04:02")
        for text in [
            "", "10.1.4", "10.1.4.256", "10.1.4.0/33", "10.1.4.0/", "10.1.4.0/1/1", "::1", "-1.0.0.0", "+1.0.0.0",
        ] {
            #expect(IPv4Network(text) == nil, "\(text)")
        }
    }

    @Test func routesOfEveryKindCountButDefaultsInDisguiseAndOurOwnDoNot() {
        let routes = """
            default via 192.0.2.1 dev eth0
            0.0.0.0/1 via 10.8.0.1 dev tun0
            10.8.0.0/24 dev tun0 proto kernel scope link src 10.8.0.2
            blackhole 10.20.0.0/16
            local 192.0.2.2 dev eth0 table local proto kernel scope host src 192.0.2.2
            broadcast 192.0.2.255 dev eth0 table local proto kernel scope link src 192.0.2.2
            10.130.0.0/22 dev csdkabc proto kernel scope link src 10.130.0.1
            100.64.0.0/10 dev tailscale0 table 52
            nonsense
            """
        #expect(
            SubnetChoice.taken(routes: routes, except: "csdkabc").map(\.description)
                == ["10.8.0.0/24", "10.20.0.0/16", "192.0.2.2/32", "192.0.2.255/32", "100.64.0.0/10"])
    }

    @Test func theChosenSubnetOverlapsNothing() throws {
        let free = try #require(SubnetChoice.choose(taken: [], seed: "aaaaaa"))
        #expect(try #require(IPv4Network("10.128.0.0/9")).contains(free))
        #expect(SubnetChoice.choose(taken: [], seed: "aaaaaa") == free)
        #expect(SubnetChoice.choose(taken: [], seed: "bbbbbb") != free)
        let next = try #require(SubnetChoice.choose(taken: [free], seed: "aaaaaa"))
        #expect(!next.overlaps(free))
        let ten = try #require(IPv4Network("10.0.0.0/8"))
        let elsewhere = try #require(SubnetChoice.choose(taken: [ten], seed: "aaaaaa"))
        #expect(try #require(IPv4Network("172.16.0.0/12")).contains(elsewhere))
        #expect(
            SubnetChoice.choose(taken: [IPv4Network(0, prefix: 4), IPv4Network(128 << 24, prefix: 1), ten], seed: "a")
                == nil)
    }
}
