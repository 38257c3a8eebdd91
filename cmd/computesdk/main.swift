import Composition

await ComputeSDKCommand.main()
