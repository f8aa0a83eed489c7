// BrokenFilesTests.swift: data files that are each broken in one way are refused, and reading takes no more memory than its bound says.
// Not here: damage drawn at random (DataMutationTests), whole files (IDXTests, CIFARTests).
import RengaData
import RengaNetwork
import TestSupport
import XCTest

final class BrokenFilesTests: XCTestCase {
    private func refuse(_ kind: String, _ least: Int, _ read: (String) throws -> Dataset) throws {
        let files = try BrokenFiles.all(kind)
        XCTAssertGreaterThanOrEqual(files.count, least)
        for (name, path) in files {
            XCTAssertThrowsError(try read(path), "\(kind)/\(name)") { error in
                let error = error as? RengaError
                XCTAssertEqual(error?.status, .corruptData, "\(kind)/\(name): \(error?.message ?? "")")
            }
        }
    }

    func testBrokenFilesAreRefused() throws {
        let scratch = try Scratch()
        let images = try scratch.write("images", idx([2, 2, 1], [1, 2, 3, 4]))
        let labels = try scratch.write("labels", idx([2], [0, 1]))
        XCTAssertEqual(try IDX.dataset(images: images, labels: labels).shape.n, 2)
        try refuse("idx-images", 26) { try IDX.dataset(images: $0, labels: labels) }
        try refuse("idx-labels", 9) { try IDX.dataset(images: images, labels: $0) }
        try refuse("cifar", 7) { try CIFAR.dataset([$0], .ten) }
    }

    /// The content once, 5 bytes a label beside it; of what a header announces and the file cannot hold, nothing.
    func testMemoryIsBoundedByTheFile() throws {
        let scratch = try Scratch()
        let (count, slack) = (1 << 13, 2 << 20)
        let content = idx([count, 32, 32], [UInt8](repeating: 7, count: count << 10))
        let images = try scratch.write("images", content)
        let small = try scratch.write("images.gz", gzip(content))
        let labels = try scratch.write("labels", idx([count], [UInt8](repeating: 1, count: count)))
        for path in [images, small] {
            let growth = try peakGrowth { XCTAssertEqual(try IDX.dataset(images: path, labels: labels).shape.n, count) }
            if let growth { XCTAssertLessThan(growth, content.count + 5 * count + slack, path) }
        }
        let records = [UInt8](repeating: 7, count: 3073 << 11)
        let cifar = try scratch.write("cifar", records)
        let growth = try peakGrowth { XCTAssertEqual(try CIFAR.dataset([cifar], .ten).shape.n, 1 << 11) }
        if let growth { XCTAssertLessThan(growth, records.count + slack) }
        for extent in [1 << 20, 1 << 26, 1 << 30] {
            let announcing = try scratch.write(
                "announcing", gzip(idx([extent, 1, 1], [UInt8](repeating: 0, count: 4096))))
            let growth = peakGrowth { expect(.corruptData) { _ = try IDX.dataset(images: announcing, labels: labels) } }
            if let growth { XCTAssertLessThan(growth, slack, "\(extent) images of no pixels") }
        }
    }
}
