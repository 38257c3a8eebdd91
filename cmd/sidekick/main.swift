import SidekickService

await SidekickMain.run()
