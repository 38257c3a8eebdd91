// SidekickClient
