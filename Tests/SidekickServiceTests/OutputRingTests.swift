import SidekickService
import Testing

@Suite struct OutputRingTests {
    private func append(_ ring: inout OutputRing, _ bytes: [UInt8]) { bytes.withUnsafeBytes { ring.append($0) } }

    @Test func theNewestBytesAreKeptAndFoundByOffset() {
        var ring = OutputRing(capacity: 8)
        append(&ring, Array("abcdefgh".utf8))
        #expect(ring.read(from: 0, upTo: 100) == .init(offset: 0, bytes: Array("abcdefgh".utf8), dropped: 0))
        append(&ring, Array("ij".utf8))
        #expect(ring.read(from: 0, upTo: 100) == .init(offset: 2, bytes: Array("cdefghij".utf8), dropped: 2))
        #expect(ring.read(from: 9, upTo: 100) == .init(offset: 9, bytes: Array("j".utf8), dropped: 0))
        #expect(ring.read(from: 3, upTo: 2) == .init(offset: 3, bytes: Array("de".utf8), dropped: 0))
        #expect(ring.read(from: 99, upTo: 2) == .init(offset: 10, bytes: [], dropped: 0))
        append(&ring, Array("0123456789ABCDEFGHIJ".utf8))
        #expect(ring.read(from: 10, upTo: 100) == .init(offset: 22, bytes: Array("CDEFGHIJ".utf8), dropped: 12))
    }

    @Test func anEmptyRingReadsAsNothing() {
        let ring = OutputRing(capacity: 8)
        #expect(ring.read(from: 0, upTo: 8) == .init(offset: 0, bytes: [], dropped: 0))
        #expect(ring.footprint == 0)
    }

    /// Against a plain array that keeps everything.
    @Test func itAgreesWithTheWholeStreamOnRandomWalks() {
        let seed = UInt64.random(in: 0 ... .max)
        var state = seed
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for capacity in [1, 7, 4096, 5000, 10_000] {
            var ring = OutputRing(capacity: capacity)
            var whole: [UInt8] = []
            for step in 0..<80 {
                let bytes = (0..<next(capacity * 2)).map { _ in UInt8(next(256)) }
                append(&ring, bytes)
                whole += bytes
                let from = next(whole.count + 1)
                let piece = ring.read(from: from, upTo: next(capacity) + 1)
                #expect(ring.end == whole.count)
                #expect(ring.start == max(0, whole.count - capacity))
                guard piece.offset == max(from, ring.start), piece.dropped == piece.offset - from,
                    piece.bytes[...] == whole[piece.offset..<piece.offset + piece.bytes.count]
                else {
                    Issue.record("seed \(seed), capacity \(capacity), step \(step)")
                    return
                }
            }
            #expect(ring.footprint <= capacity)
        }
    }
}
