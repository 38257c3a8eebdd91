import Glibc
import LinuxSystem
import Synchronization
import Testing

@Suite struct TerminalTests {
    @Test(arguments: [
        (0.0, 0.0, 1, 1), (80.4, 24.9, 80, 24), (65535, 65535, 1000, 1000), (-5, 1e300, 1, 1000),
        (.infinity, -.infinity, 1000, 1),
    ])
    func sizesAreBroughtIntoRange(columns: Double, rows: Double, wantedColumns: Int, wantedRows: Int) throws {
        let size = try #require(TerminalSize(clampingColumns: columns, rows: rows))
        #expect(size == TerminalSize(columns: UInt16(wantedColumns), rows: UInt16(wantedRows)))
    }

    @Test func noNumberIsNoSize() {
        #expect(TerminalSize(clampingColumns: .nan, rows: 24) == nil)
        #expect(TerminalSize(clampingColumns: 80, rows: .nan) == nil)
    }

    @Test func aTerminalCarriesBytesToItsOtherEnd() async throws {
        let terminal = try PseudoTerminal.open(.standard)
        let poller = try Poller.start()
        let received = AsyncStream.makeStream(of: [UInt8].self)
        let stream = try DescriptorStream(adopting: terminal.master, poller: poller, maxPendingInput: 100) { event in
            switch event {
            case .bytes(let bytes): received.continuation.yield(Array(bytes))
            case .end: received.continuation.finish()
            }
        }
        #expect(write(terminal.slave, "hello", 5) == 5)
        closeDescriptor(terminal.slave)
        var all: [UInt8] = []
        for await bytes in received.stream { all += bytes }
        #expect(String(decoding: all, as: UTF8.self) == "hello")
        #expect(stream.write("late".utf8))
    }
}

@Suite struct TerminalKeysTests {
    private let keys = TerminalKeys(signals: [3: SIGINT, 26: SIGTSTP], areShown: true)

    @Test func inputWithoutSuchKeysIsLeftAsItIs() {
        let (signals, shown, rest) = keys.sift("ls\n\u{4}".utf8)
        #expect(signals == [] && shown == [] && rest == Array("ls\n\u{4}".utf8))
    }

    @Test func whatCameBeforeAKeyIsLostAndWhatComesBehindItIsNot() {
        let (signals, shown, rest) = keys.sift("lost\u{1a}lost\u{3}kept".utf8)
        #expect(signals == [SIGTSTP, SIGINT])
        #expect(shown == Array("^Z^C".utf8))
        #expect(rest == Array("kept".utf8))
        #expect(TerminalKeys(signals: [3: SIGINT], areShown: false).sift([3]).shown == [])
    }

    @Test func theyAreWhatTheTerminalSays() throws {
        let terminal = try PseudoTerminal.open(.standard)
        defer { for end in [terminal.master, terminal.slave] { closeDescriptor(end) } }
        #expect(
            TerminalKeys(ofMaster: terminal.master)
                == TerminalKeys(signals: [3: SIGINT, 28: SIGQUIT, 26: SIGTSTP], areShown: true))
        var settings = termios()
        #expect(tcgetattr(terminal.slave, &settings) == 0)
        settings.c_lflag &= ~tcflag_t(ISIG)
        #expect(tcsetattr(terminal.slave, TCSANOW, &settings) == 0)
        #expect(TerminalKeys(ofMaster: terminal.master).signals == [:])
    }
}

@Suite struct DescriptorStreamTests {
    /// The terminal itself shows what is typed here.
    @Test func anEchoIsThereWhenTheWriteThatWaitsForItReturnsAndLaterOutputStillComes() async throws {
        let terminal = try PseudoTerminal.open(.standard)
        defer { closeDescriptor(terminal.slave) }
        let received = Mutex("")
        let stream = try DescriptorStream(
            adopting: terminal.master, poller: try Poller.start(), maxPendingInput: 100
        ) { event in
            if case .bytes(let bytes) = event {
                received.withLock { $0 += String(decoding: bytes, as: UTF8.self) }
            }
        }
        for key in ["k", "l"] {
            received.withLock { $0 = "" }
            #expect(stream.write(key.utf8, awaitingEcho: .seconds(10)))
            #expect(received.withLock { $0 } == key)
        }
        #expect(write(terminal.slave, "later", 5) == 5)
        let deadline = ContinuousClock.now + .seconds(10)
        while received.withLock({ $0 }) != "llater", ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(1))
        }
        #expect(received.withLock { $0 } == "llater")
    }

    @Test func aWriteWithoutAnEchoWaitsNoLongerThanItMay() async throws {
        // As every program of ours does: a write to a closed socket is an error there.
        signal(SIGPIPE, SIG_IGN)
        let pipe = try SocketEnds()
        let stream = try DescriptorStream(
            adopting: pipe.ours, poller: try Poller.start(), maxPendingInput: 100
        ) { _ in }
        #expect(stream.write("k".utf8, awaitingEcho: .milliseconds(20)))
        var byte: UInt8 = 0
        #expect(read(pipe.theirs, &byte, 1) == 1 && byte == UInt8(ascii: "k"))
        close(pipe.theirs)
        // The end is no echo, and nothing to wait for.
        #expect(stream.write("l".utf8, awaitingEcho: .seconds(100)))
    }

    private struct SocketEnds {
        let ours: Int32
        let theirs: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
            (ours, theirs) = (ends[0], ends[1])
        }
    }

    @Test func finishDeliversWhatIsThereAlthoughTheWriterStaysOpen() async throws {
        let pipe = try Pipe.open()
        let received = AsyncStream.makeStream(of: Int.self)
        let stream = try DescriptorStream(adopting: pipe.readEnd, poller: try Poller.start()) { event in
            switch event {
            case .bytes(let bytes): received.continuation.yield(bytes.count)
            case .end: received.continuation.finish()
            }
        }
        let chunk = [UInt8](repeating: 1, count: 50_000)
        #expect(write(pipe.writeEnd, chunk, chunk.count) == chunk.count)
        stream.finish()
        var total = 0
        for await count in received.stream { total += count }
        #expect(total == chunk.count)
        closeDescriptor(pipe.writeEnd)
    }

    /// Closed twice, the second time would hit what another thread has opened in between.
    @Test func aDescriptorThatCannotBePolledIsClosedOnce() async throws {
        let poller = try Poller.start()
        let lost = await withTaskGroup(of: Int.self) { group in
            group.addTask {
                for _ in 0..<20_000 {
                    // Not for epoll: EPERM.
                    guard let null = try? openNullDevice() else { continue }
                    _ = try? DescriptorStream(adopting: null, poller: poller) { _ in }
                    guard let other = try? openNullDevice() else { continue }
                    _ = try? PipeWriter(adopting: other, poller: poller, maxPending: 1)
                }
                return 0
            }
            group.addTask {
                var lost = 0
                for _ in 0..<40_000 {
                    guard let own = try? openNullDevice() else { continue }
                    if close(own) != 0 { lost += 1 }
                }
                return lost
            }
            return await group.reduce(0, +)
        }
        #expect(lost == 0)
    }

    @Test func inputThatNobodyReadsIsRefusedAtItsBound() throws {
        let terminal = try PseudoTerminal.open(.standard)
        defer { closeDescriptor(terminal.slave) }
        // Raw, or the line discipline would throw the input away instead of holding it back.
        var settings = termios()
        tcgetattr(terminal.slave, &settings)
        cfmakeraw(&settings)
        tcsetattr(terminal.slave, TCSANOW, &settings)
        let stream = try DescriptorStream(
            adopting: terminal.master, poller: try Poller.start(), maxPendingInput: 64 << 10
        ) { _ in }
        let chunk = [UInt8](repeating: 97, count: 16 << 10)
        var accepted = 0
        while stream.write(chunk), accepted < 100 { accepted += 1 }
        #expect(accepted >= 4)
        #expect(accepted < 100)
        stream.finish()
    }
}
