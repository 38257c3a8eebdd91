// SidekickService
