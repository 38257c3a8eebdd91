// LocalRuntime
