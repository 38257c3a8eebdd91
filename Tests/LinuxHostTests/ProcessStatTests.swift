import Glibc
import LinuxHost
import Testing

@Suite struct ProcessStatTests {
    private func line(_ name: String, _ state: String) -> String {
        "7 (\(name)) \(state) 3 " + (5...21).map(String.init).joined(separator: " ") + " 12345 23 24\n"
    }

    @Test(arguments: ["sleep", "a) Z 1 (b", "a b", ")", "", "\n)"]) func theNameOfTheCommandMayHoldAnything(
        _ name: String
    ) {
        let stat = ProcessStat(line(name, "S"))
        #expect(stat?.parent == 3 && stat?.startTime == 12345 && stat?.hasEnded == false)
    }

    @Test func aZombieHasEnded() {
        #expect(ProcessStat(line("x", "Z"))?.hasEnded == true)
        #expect(ProcessStat(line("x", "X"))?.hasEnded == true)
    }

    @Test(arguments: ["", "7 (sleep", "7 (sleep) S 3", "7 (sleep) S x 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"])
    func whatIsNoSuchLineIsNoProcess(_ text: String) { #expect(ProcessStat(text) == nil) }

    @Test func weOurselvesRun() {
        #expect(ProcessStat(of: getpid())?.parent == getppid())
        #expect(ProcessStat(of: getpid())?.hasEnded == false)
        #expect(ProcessStat(of: -1) == nil)
    }
}
