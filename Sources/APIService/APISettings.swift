package import APIContract
package import ComputeCore
package import ComputeDomain

/// What an operator may set of the API.
package struct APISettings: Sendable {
    /// Where the public API listens. Port 0: any free one.
    package var listen: Endpoint
    /// Where Gateway and Operator are served. Never routed to from outside.
    package var internalListen: Endpoint
    package var urls: PublicURLs
    /// Of the product, as the description of the API says it.
    package var version = "0"
    /// The lifetime of a compute whose caller named none: what an `extend` without a duration adds, so that both
    /// defaults are one number to remember.
    package var defaultTimeout: Duration = .milliseconds(900_000)
    /// No compute ever ends later than this from now, however often it is extended.
    package var maximumTimeout: Duration = .milliseconds(CreateSandbox.timeoutRange.upperBound)
    /// How long what is stopped is kept. A week is what people expect who stop in the evening and come back after a holiday;
    /// nothing is kept for ever that nobody asks for.
    package var keepLimits = KeepLimits(usual: .seconds(7 * 24 * 3600), most: .seconds(30 * 24 * 3600))
    /// How often one may ask.
    package var rateLimits = RateLimitSettings()
    /// What a group may have that has no quotas of its own. As many creates a minute as 50 a second, which is more than any
    /// machine starts for long.
    package var quotas = GroupQuotas([.computes: 100, .createsPerMinute: 3000, .poolMembers: 20])
    /// How many secrets a group may have.
    package var secretsPerGroup: Int64 = 1000
    /// How many templates a group may have.
    package var templatesPerGroup: Int64 = 100
    /// How many pools a group may have.
    package var poolsPerGroup: Int64 = 20
    /// How many filesystems a group may have, and of what size in all.
    package var filesystemsPerGroup = FilesystemLimits(count: 100, totalMiB: 100 << 10)
    /// How many session tokens one compute may have that are good.
    package var sessionsPerCompute = 1000
    /// How many that were taken back and have not expired: every Gateway remembers those.
    package var revokedSessionsPerCompute = 10_000
    /// How many keys a group may have that were not revoked.
    package var keysPerGroup: Int64 = 1000
    /// How many sessions one key, or one member, may have at a time.
    package var sessionsPerCredential = 1000
    package var groups: Int64 = 10_000
    /// How long one key signs tokens.
    package var signingPeriod: Duration = .seconds(90 * 24 * 3600)
    package var eventStreams = EventStreamTiming()
    /// The most that one compute may ask for; nil is no limit of ours.
    package var maximumResources = ComputeResources()
    /// How long the body of a request may take; 408 after that. Mebibytes over the slowest line, and no longer than what a
    /// client waits for an answer.
    package var bodyDeadline: Duration = .seconds(30)
    /// From a request's head to its end, whether somebody reads its body or not; then the connection is closed. Longer than
    /// the former, so that the 408 arrives.
    package var requestDeadline: Duration = .seconds(35)
    /// How many creates are put on record at a time: more would only wait for the database, where nobody looks whose they
    /// are.
    package var createTurns = FairTurns<GroupID>.Limits(places: 8, placesOfOne: 4, placesBesideOthers: 1)
    /// How many claim a member of the pool at a time. Of turns of their own: a Sidekick that does not answer holds up
    /// nothing that needs none of the pool.
    package var claimTurns = FairTurns<GroupID>.Limits(places: 16, placesOfOne: 8, placesBesideOthers: 1)
    /// How many places are started at a time, and claimed. Above what a runtime starts at once, so that it never waits for
    /// us; not far, because there first come are first served.
    package var startTurns = FairTurns<GroupID>.Limits(places: 16, placesOfOne: 8, placesBesideOthers: 1)
    /// How long a create may wait in all: for turns, for a place, for claims, for another one of the same name or key. The
    /// clients give up after 30 s; what is left is for the last commit, and for taking back what was begun.
    package var createDeadline: Duration = .seconds(25)
    /// Until when, of that, a place must have started. What is left is for narrowing it, a claim and the record: a start that
    /// ends with the create's time is one for nothing.
    package var coldStartDeadline: Duration = .seconds(20)
    /// How long one claim may take before its answer counts as lost.
    package var claimTimeout: Duration = .seconds(3)
    /// How many members one create tries. Three broken ones in a row mean that more will not help.
    package var claimAttempts = 3
    /// How often the sweep looks. A death unnoticed that long is what a caller may see.
    package var sweepInterval: Duration = .seconds(5)
    /// How long a place may be without a record: longer than any create can take.
    package var sweepGrace: Duration = .seconds(60)
    /// How long creates in flight may take once the service stops.
    package var drainDeadline: Duration = .seconds(25)

    package init(listen: Endpoint, internalListen: Endpoint, urls: PublicURLs) {
        self.listen = listen
        self.internalListen = internalListen
        self.urls = urls
    }
}
