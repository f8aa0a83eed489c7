// DataMutationTests.swift: thousands of damaged data files: each is refused with a sentence or read as what its bytes then say.
// Not here: damage of a known kind (IDXTests, CIFARTests).
import RengaData
import RengaNetwork
import TestSupport
import XCTest

final class DataMutationTests: XCTestCase {
    private func check(_ rounds: Int, _ whole: [UInt8], seed: UInt64, _ read: ([UInt8]) throws -> Dataset) throws {
        var mutations = Mutations(seed: seed)
        var refused = 0
        for _ in 0..<rounds {
            do {
                let set = try read(mutations.next(of: whole))
                XCTAssert(labels(set).allSatisfy { $0 >= 0 && Int($0) < set.classes })
                XCTAssertEqual(bytes(set).count, set.shape.count)
            } catch let error as RengaError {
                refused += 1
                XCTAssert(error.status == .corruptData || error.status == .invalidArgument, error.message)
            }
        }
        XCTAssertGreaterThan(refused, rounds / 10)
    }

    func testDamagedIDXFiles() throws {
        let scratch = try Scratch()
        let images = idx([3, 4, 5], pattern(60))
        let labelFile = try scratch.write("l", idx([3], [2, 0, 1]))
        let imageFile = try scratch.write("i", images)
        func readImages(_ bytes: [UInt8]) throws -> Dataset {
            try IDX.dataset(images: scratch.write("d", bytes), labels: labelFile)
        }
        try check(400, images, seed: 1, readImages)
        try check(400, gzip(images), seed: 2, readImages)
        try check(400, idx([3], [2, 0, 1]), seed: 3) {
            try IDX.dataset(images: imageFile, labels: scratch.write("d", $0))
        }
    }

    func testDamagedCIFARFiles() throws {
        let scratch = try Scratch()
        let record = [3, 42] + pattern(3072)
        try check(60, record + record, seed: 4) {
            try CIFAR.dataset([scratch.write("d", $0)], .hundredFine)
        }
    }
}
