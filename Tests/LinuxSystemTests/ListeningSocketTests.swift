import LinuxSystem
import Testing

/// What `/proc/net/tcp`, `/proc/<pid>/stat` and their like say.
struct ListeningSocketTests {
    private static let heading =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

    @Test func linuxListsWhatListens() {
        let text =
            Self.heading + """
                   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4026531 1 0000000000000000 100 0 0 10 0
                   1: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0000000000000000 100 0 0 10 0
                   2: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 78 1 0000000000000000 20 4 30 10 -1
                   3: 0A0B0C0D:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 79 1 0000000000000000 100 0 0 10 0

                """
        #expect(
            ListeningSocket.parse(text) == [
                ListeningSocket(port: 8080, reach: .loopback4, isLoopbackOnly: true, inode: 4_026_531),
                ListeningSocket(port: 3000, reach: .loopback4, inode: 77),
                ListeningSocket(port: 80, reach: .elsewhere, inode: 79),
            ])
    }

    @Test func gVisorListsTheSameInItsOwnOrder() {
        let text =
            Self.heading + """
                   0: 0100007F:476B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0        1 1 0000000000000000 0 0 0 0 -1
                   3: 0100007F:DC02 0100007F:476B 01 00000000:00000000 00:00000000 00000000     0        0        4 1 0000000000000000 0 0 0 0 -1
                   2: 00000000:8064 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0        3 1 0000000000000000 0 0 0 0 -1

                """
        #expect(
            ListeningSocket.parse(text) == [
                ListeningSocket(port: 0x476B, reach: .loopback4, isLoopbackOnly: true, inode: 1),
                ListeningSocket(port: 0x8064, reach: .loopback4, inode: 3),
            ])
    }

    @Test func addressesOfIPv6AreToldApart() {
        func line(_ address: String) -> String {
            "   1: \(address):D8F7 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0        2 1 0\n"
        }
        for (address, reach, isLoopbackOnly) in [
            ("00000000000000000000000000000000", ListeningSocket.Reach.loopback6, false),
            ("00000000000000000000000001000000", .loopback6, true),
            ("0000000000000000FFFF00000100007F", .loopback4, true),
            ("000080FE00000000FF005450B6AD1DFE", .elsewhere, false),
        ] {
            let socket = ListeningSocket.parse(line(address)).first
            #expect(socket?.reach == reach && socket?.isLoopbackOnly == isLoopbackOnly, "\(address)")
        }
    }

    @Test func nonsenseIsPassedOver() {
        let good = "1: 00000000:0BB8 00000000:0000 0A 0:0 0:0 0 0 0 77 1 0"
        let bad = [
            "", " ", "1:", "1: x", "1: 00000000 0 0A 0 0 0 0 0 1", "1: 00000000:0000 0:0 0A 0:0 0:0 0 0 0 77",
            "1: 00000000:GGGG 0:0 0A 0:0 0:0 0 0 0 77", "1: 0000000Z:0BB8 0:0 0A 0:0 0:0 0 0 0 77",
            "1: 00000000:0BB8 0:0 0A 0:0 0:0 0 0 0 -5", "1: 00000000:+BB8 0:0 0A 0:0 0:0 0 0 0 77",
            "1: 00000000:0BB80 0:0 0A 0:0 0:0 0 0 0 77", "1: 000000:0BB8 0:0 0A 0:0 0:0 0 0 0 77",
            "1: 00000000:0BB8 0:0 0A 0:0 0:0 0 0 0 99999999999999999999", "\u{FFFD}\0\t:::: 0A",
            "1: : : 0A 0 0 0 0 0 7",
        ]
        for line in bad { #expect(ListeningSocket.parse(line).isEmpty, "\(line)") }
        let mixed = ListeningSocket.parse((bad + [good]).joined(separator: "\n"))
        #expect(mixed == [ListeningSocket(port: 3000, reach: .loopback4, inode: 77)])
        // Cut anywhere, a line is whole or nothing.
        for length in 0..<good.utf8.count {
            let cut = ListeningSocket.parse(String(good.prefix(length)))
            #expect(cut.isEmpty || cut.first?.port == 3000)
        }
    }

    @Test func aProcessThatNamesItselfLikeALineIsReadRightly() throws {
        let line = try #require(
            Descendants.ProcessLine(
                "42 (a) R 1 (b) S 7 8 9 0 -1 0 0 0 0 0 30 12 5 6 20 0 3 0 4711 1000 55 184 0"))
        #expect(line.parent == 7 && line.group == 8 && line.session == 9)
        #expect(line.state == "S" && !line.isZombie)
        #expect(line.ownTicks == 42 && line.collectedTicks == 11)
        #expect(line.threads == 3 && line.startTicks == 4711 && line.residentPages == 55)
    }

    @Test func idsAndTrafficAreReadFromTheirFiles() {
        #expect(ProcessDetails.uids("Name:\tx\nUid:\t1000\t0\t7\t8\nGid:\t1\t1\t1\t1\n") == [1000, 0, 7, 8])
        #expect(ProcessDetails.uids("Name:\tUid:\n") == [])
        let text = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
                lo:     900       6    0    0    0     0          0         0      900       6    0    0    0     0       0          0
              eth0:     516       6    0    0    0     0          0         0      222       6    0    0    0     0       0          0
            eth1.2:1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0
            """
        #expect(KernelFigures.traffic(text) == KernelFigures.Traffic(received: 517, sent: 224))
        #expect(KernelFigures.traffic("") == nil)
    }
}
