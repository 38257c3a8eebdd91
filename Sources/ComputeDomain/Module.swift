// ComputeDomain
