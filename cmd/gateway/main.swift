import Composition

await GatewayCommand.main()
