import SidekickService

SidekickMain.run()
