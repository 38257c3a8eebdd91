import ArgumentParser
import Composition

await APICommand.main()
