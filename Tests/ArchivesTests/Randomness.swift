import Glibc

/// The same numbers for the same seed, which every failure prints. `COMPUTESDK_FUZZ_SECONDS` makes a run longer and its seed
/// another one each time.
struct Randomness {
    private var state: UInt64

    init(seed: UInt64) {
        let isLong = Self.seconds != nil
        state = isLong ? UInt64(clamping: time(nil)) : seed
        if isLong { print("fuzz seed \(state)") }
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// How often, at about 300 a second.
    static func rounds(_ ordinary: Int) -> Int { seconds.map { $0 * 300 } ?? ordinary }

    static var seconds: Int? { getenv("COMPUTESDK_FUZZ_SECONDS").flatMap { Int(String(cString: $0)) } }
}
