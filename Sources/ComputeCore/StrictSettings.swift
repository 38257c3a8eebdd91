// Proof that the package's settings arrive at the compiler: this file does not compile without them.
// `scripts/check-architecture` proves that every other target has the same settings as this one.
#if !hasFeature(ExistentialAny)
    #error("ExistentialAny is off")
#endif
#if !hasFeature(MemberImportVisibility)
    #error("MemberImportVisibility is off")
#endif
#if !hasFeature(InternalImportsByDefault)
    #error("InternalImportsByDefault is off")
#endif
#if !compiler(>=6.2) || !swift(>=6)
    #error("Swift 6 language mode is off")
#endif
