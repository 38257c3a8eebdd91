extension ImageStore {
    package func stored(_ reference: ImageReference) -> StoredImage? { nil }
    package func list() -> [StoredImage] { [] }
    package func remove(_ digest: String) async throws(ImageError) { throw ImageError(.cannotRun, "later") }
    package func removeLeftovers() async {}
    func buildBase(progress: @escaping ImageProgress.Report) async throws(ImageError) -> StoredImage {
        throw ImageError(.cannotRun, "later")
    }
    func fetch(_ r: ImageReference, progress: @escaping ImageProgress.Report) async throws(ImageError) -> StoredImage {
        throw ImageError(.cannotRun, "later")
    }
}
