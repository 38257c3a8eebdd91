import ArgumentParser
import Composition

await ComputeSDKCommand.main()
