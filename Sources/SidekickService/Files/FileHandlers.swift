/// Everything below `/files`. Literal paths come before the contract's `/files/{path…}`.
package struct FileHandlers: Sendable {
    private let files: FileService
    private let uploads: UploadService
    private let archives: ArchiveService
    private let search: SearchService

    package init(threads: UserThreads, stateDirectory: String) {
        files = FileService(threads: threads)
        uploads = UploadService(files: files, stateDirectory: stateDirectory)
        archives = ArchiveService(files: files)
        search = SearchService(files: files)
    }

    /// Before anything is served: takes up what an earlier process left.
    func resume() async { await uploads.resume() }

    package var routes: [SidekickRoute] {
        let contract = FileRoutes(files: files)
        return FileContentRoutes(contract: contract).routes
            + UploadRoutes(uploads: uploads, contract: contract).routes + FileChangeRoutes(files: files).routes
            + ArchiveRoutes(archives: archives, contract: contract).routes + SearchRoutes(search: search).routes
            + contract.routes
    }
}
