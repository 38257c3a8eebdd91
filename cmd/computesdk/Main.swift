import ArgumentParser
import Composition

@main
struct Main {
    static func main() async { await ComputeSDKCommand.main() }
}
