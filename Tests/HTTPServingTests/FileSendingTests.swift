import Foundation
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing

@Suite struct FileSendingTests {
    @Test func partsOfAFileArriveAsTheyAreAndTheConnectionGoesOn() async throws {
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let file = try SentFile(bytes)
        try await withServer({ exchange in
            let writer = try await exchange.startResponse(
                status: .ok, headers: ["Content-Length": "\(bytes.count - 10)"])
            try await writer.write(file.region(10..<100_000))
            try await writer.write(ByteBuffer(bytes: bytes[100_000..<100_007]))
            try await writer.write(file.region(100_007..<bytes.count))
            try await writer.finish()
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            for _ in 0..<2 {
                try await peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                _ = try await peer.read(through: "\r\n\r\n")
                let body = try await peer.read(bytes: bytes.count - 10)
                #expect(Array(body.readableBytesView) == Array(bytes[10...]))
            }
            try await peer.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
            let head = try await peer.read(through: "\r\n\r\n")
            #expect(head.contains("Content-Length: \(bytes.count - 10)"))
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(try await peer.read(through: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
            try await peer.close()
        }
    }

    @Test func onlyAnAnswerWithALengthTakesAFileAndNoMoreOfItThanThat() async throws {
        let file = try SentFile([1, 2, 3])
        let refused = Expectation<[HTTPServingError.Code]>()
        try await withServer({ exchange in
            var codes: [HTTPServingError.Code] = []
            let isCounted = exchange.head.uri == "/counted"
            let writer = try await exchange.startResponse(
                status: .ok, headers: isCounted ? ["Content-Length": "2"] : [:])
            do { try await writer.write(file.region(0..<3)) } catch let error as HTTPServingError {
                codes.append(error.code)
            }
            refused.fulfil(codes)
            try await writer.write(ByteBuffer(string: "ab"))
            try await writer.finish()
        }) { endpoint, _ in
            for target in ["/", "/counted"] {
                let peer = try await RawPeer.connect(endpoint)
                try await peer.send("GET \(target) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                #expect(try await refused.value() == [.invalidState])
                #expect(try await peer.readToEnd().contains("ab"))
                try await peer.close()
            }
        }
    }

    /// What is missing can never be sent; trying for ever would keep a core busy.
    @Test func aFileThatBecomesShorterEndsTheConnection() async throws {
        let file = try SentFile([UInt8](repeating: 7, count: 32 << 20))
        let failed = Expectation<HTTPServingError.Code?>()
        try await withServer({ exchange in
            let writer = try await exchange.startResponse(status: .ok, headers: ["Content-Length": "\(32 << 20)"])
            do { try await writer.write(file.region(0..<32 << 20)) } catch {
                failed.fulfil((error as? HTTPServingError)?.code)
                throw error
            }
        }) { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = try await peer.read(through: "\r\n\r\n")
            file.truncate(to: 1)
            let rest = try await peer.readToEnd()
            #expect(rest.utf8.count < 32 << 20)
            #expect(try await failed.value() == .connectionClosed)
            try? await peer.close()
        }
    }

    /// Whoever owns the file closes it when the write returns, and nothing may be sent from its number afterwards.
    @Test func aCancelledWriteHasEndedWhenItReturns() async throws {
        let file = try SentFile([UInt8](repeating: 7, count: 32 << 20))
        let started = Expectation<Bool>()
        let isFree = Expectation<Bool>()
        try await withServer({ exchange in
            let writer = try await exchange.startResponse(status: .ok, headers: ["Content-Length": "\(32 << 20)"])
            started.fulfil(true)
            do { try await writer.write(file.region(0..<32 << 20)) } catch {
                isFree.fulfil(file.isFree)
                throw error
            }
        }) { endpoint, server in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await started.value())
            await server.shutdown(deadline: .milliseconds(50))
            #expect(try await isFree.value())
            try? await peer.close()
        }
    }
}

/// A temporary file that is open for sending.
final class SentFile: Sendable {
    private let handle: NIOFileHandle
    private let path = "/tmp/sent-\(UUID().uuidString)"

    init(_ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: open(path, O_RDONLY | O_CLOEXEC))
    }

    deinit {
        try? handle.close()
        unlink(path)
    }

    func region(_ part: Range<Int>) -> FileRegion {
        FileRegion(fileHandle: handle, readerIndex: part.lowerBound, endIndex: part.upperBound)
    }

    func truncate(to size: Int) { _ = Glibc.truncate(path, off_t(size)) }

    /// Nobody is using the descriptor.
    var isFree: Bool {
        guard let copy = try? handle.duplicate() else { return false }
        try? copy.close()
        return true
    }
}
