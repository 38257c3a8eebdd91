import Composition

await APICommand.main()
