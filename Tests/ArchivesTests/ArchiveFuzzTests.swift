import Archives
import Testing

/// Archives with random changes: refused or read, but never a trap.
struct ArchiveFuzzTests {
    @Test func changedTarArchivesAreRefusedOrRead() throws {
        var random = Randomness(seed: 20_240_501)
        let archive = TarTests.archive(TarTests.members)
        for _ in 0..<Randomness.rounds(300) {
            var broken = archive
            for _ in 0..<Int(1 + random.next() % 8) {
                let at = Int(random.next() % UInt64(broken.count))
                switch random.next() % 3 {
                case 0: broken[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: broken.remove(at: at)
                default: broken.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
                }
            }
            // A header that was changed is mended, so that what is behind its sum is reached.
            if random.next() % 2 == 0 { Self.mend(&broken, at: 0) }
            do { _ = try TarTests.read(broken, piece: 1000) } catch is ArchiveError {}
        }
    }

    /// Makes the sum of a header right again.
    static func mend(_ bytes: inout [UInt8], at start: Int) {
        guard bytes.count >= start + 512 else { return }
        for index in 148..<156 { bytes[start + index] = 0x20 }
        let sum = bytes[start..<start + 512].reduce(0) { $0 + Int($1) }
        let digits = String(sum, radix: 8)
        for (index, byte) in (String(repeating: "0", count: max(6 - digits.count, 0)) + digits).utf8.prefix(6)
            .enumerated()
        {
            bytes[start + 148 + index] = byte
        }
    }

    @Test func changedZipArchivesAreRefusedOrRead() throws {
        var random = Randomness(seed: 7_777)
        let archive = ZipTests.archive(ZipTests.members)
        for _ in 0..<Randomness.rounds(600) {
            var broken = archive
            for _ in 0..<Int(1 + random.next() % 6) {
                let at = Int(random.next() % UInt64(broken.count))
                switch random.next() % 4 {
                case 0, 1:
                    broken[at] = [0, 0xff, 0x7f, UInt8(truncatingIfNeeded: random.next())][Int(random.next() % 4)]
                case 2: broken.remove(at: at)
                default: broken.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
                }
            }
            do { _ = try ZipTests.read(broken) } catch is ArchiveError {}
        }
    }
}
