import ArgumentParser
import Composition

await GatewayCommand.main()
