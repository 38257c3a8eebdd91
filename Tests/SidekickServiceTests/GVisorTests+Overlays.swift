import ComputeCore
import NIOHTTP1
import Testing

/// Overlays, environment files and children on gVisor's kernel, with the user as another account.
extension GVisorTests {
    @Test func overlaysAreTheUsersAndCompleteHereToo() async throws {
        try await sidekick(user: .unprivileged()) { place in
            _ = try await place.command(
                "mkdir -p t/node_modules; echo a > t/a; chmod 750 t/a; ln -s a t/link; echo m > t/node_modules/m")
            let pwd = try #require(try await place.command("printf %s \"$PWD\"").stdout)
            let body = JSONValue.object(["source": .string(pwd + "/t"), "target": .string("app")]).line
            let created = try await place.authorized(.POST, "/filesystem/overlays", body: body)
            #expect(created.status == 201, "\(created.body)")
            let id = try #require(created.text("id"))
            try await eventually("the copy") {
                try await place.authorized(.GET, "/filesystem/overlays/\(id)").text("copy_status") == "complete"
            }
            // By the shell itself: this gVisor refuses the statx of newer coreutils.
            let seen = try await place.command(
                "test -O app/a && test -x app/a && readlink app/link && cat app/node_modules/m")
            #expect(seen.stdout == "a\nm\n", "\(seen)")
            // A target may be on the other side of a link, but not where the user may not write.
            _ = try await place.command("ln -s \(place.path)/state link")
            let behind = JSONValue.object(["source": .string(pwd + "/t"), "target": .string("link/app")]).line
            let refused = try await place.authorized(.POST, "/filesystem/overlays", body: behind)
            #expect(refused.status == 403 && refused.text("field") == "target", "\(refused.body)")
            // What only root may read is not copied for the user.
            let secret = try await place.authorized(
                .POST, "/filesystem/overlays",
                body: JSONValue.object(["source": .string(place.path + "/state"), "target": .string("state")]).line)
            #expect(secret.status == 403 && secret.text("field") == "source", "\(secret.body)")
        }
    }

    @Test func childrenAndEnvironmentFilesBelongToTheUser() async throws {
        try await sidekick(user: .unprivileged()) { place in
            let created = try await place.authorized(.POST, "/sandboxes", body: #"{"name":"web"}"#)
            #expect(created.status == 201, "\(created.body)")
            let set = try await place.send(
                .POST, "/env", body: #"{"variables":{"A":"x y"}}"#, bearer: place.secret,
                headers: ["X-Compute-Child": "web"])
            #expect(set.status == 200, "\(set.body)")
            let seen = try await place.command("test -O web && test -O web/.env && . web/.env && echo \"$A\"")
            #expect(seen.stdout == "x y\n", "\(seen)")
        }
    }
}
