import SidekickService

SidekickMain.blockSignals()
await SidekickMain.run()
