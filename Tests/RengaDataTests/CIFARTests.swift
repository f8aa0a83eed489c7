// CIFARTests.swift: the CIFAR readers on small files of the same format, and folders opened by convention.
// Not here: the real sets (no package holds them).
import RengaData
import RengaNetwork
import TestSupport
import XCTest

final class CIFARTests: XCTestCase {
    private func pixels(_ seed: Int) -> [UInt8] { pattern(3072 + seed).suffix(3072) }

    func testReadsSeveralBatchFiles() throws {
        let scratch = try Scratch()
        let first = try scratch.write("a.bin", [7] + pixels(1) + [0] + pixels(2))
        let second = try scratch.write("b.bin", [9] + pixels(3))
        let set = try CIFAR.dataset([first, second], .ten)
        XCTAssertEqual(set.shape, Shape(n: 3, h: 32, w: 32, c: 3))
        XCTAssertEqual(set.layout, .nchw)
        XCTAssertEqual(set.classes, 10)
        XCTAssertEqual(labels(set), [7, 0, 9])
        XCTAssertEqual(bytes(set), pixels(1) + pixels(2) + pixels(3))
    }

    func testReadsFineAndCoarseLabels() throws {
        let scratch = try Scratch()
        let file = try scratch.write("train.bin", [19, 99] + pixels(1) + [3, 42] + pixels(2))
        let fine = try CIFAR.dataset([file], .hundredFine)
        let coarse = try CIFAR.dataset([file], .hundredCoarse)
        XCTAssertEqual(labels(fine), [99, 42])
        XCTAssertEqual(fine.classes, 100)
        XCTAssertEqual(labels(coarse), [19, 3])
        XCTAssertEqual(coarse.classes, 20)
        XCTAssertEqual(bytes(fine), pixels(1) + pixels(2))
        XCTAssertEqual(bytes(coarse), bytes(fine))
    }

    func testDamagedFilesAreRefused() throws {
        let scratch = try Scratch()
        let whole: [UInt8] = [7] + pixels(1)
        for length in [0, 1, 3072, 3074] {
            let file = try scratch.write("cut.bin", Array((whole + [0]).prefix(length)))
            expect(.corruptData, "cut.bin", "\(length) bytes") { _ = try CIFAR.dataset([file], .ten) }
        }
        let ten = try scratch.write("label.bin", [10] + pixels(1))
        expect(.corruptData, "label 10", "0..<10") { _ = try CIFAR.dataset([ten], .ten) }
        let hundred = try scratch.write("label.bin", [20, 99] + pixels(1))
        expect(.corruptData, "label 20") { _ = try CIFAR.dataset([hundred], .hundredCoarse) }
        expect(.invalidArgument, "no CIFAR file") { _ = try CIFAR.dataset([], .ten) }
        expect(.fileError, "folder") { _ = try CIFAR.dataset([scratch.path], .ten) }
    }

    func testFoldersAreRecognised() throws {
        let scratch = try Scratch()
        let folder = DatasetFolder(scratch.path)
        expect(.notFound, "CIFAR-10", "IDX") { _ = try folder.open(.train) }
        try scratch.write("train.bin", [19, 99] + pixels(1))
        try scratch.write("test.bin", [1, 2] + pixels(2))
        XCTAssertEqual(labels(try folder.open(.train)), [99])
        XCTAssertEqual(labels(try folder.open(.test)), [2])
        try scratch.write("data_batch_2.bin", [1] + pixels(1))
        try scratch.write("data_batch_1.bin", [0] + pixels(1))
        try scratch.write("test_batch.bin", [5] + pixels(2))
        let names = (0..<10).map { "class \($0)" }
        try scratch.write("batches.meta.txt", Array((names.joined(separator: "\n") + "\n\n").utf8))
        XCTAssertEqual(labels(try folder.open(.train)), [0, 1])
        XCTAssertEqual(try folder.open(.train).className(9), "class 9")
        XCTAssertEqual(labels(try folder.open(.test)), [5])
        // IDX files come first; the classes are those of both parts.
        try scratch.write("train-images-idx3-ubyte", idx([1, 2, 2], [1, 2, 3, 4]))
        try scratch.write("train-labels-idx1-ubyte", idx([1], [6]))
        try scratch.write("t10k-images-idx3-ubyte.gz", gzip(idx([1, 2, 2], [5, 6, 7, 8])))
        try scratch.write("t10k-labels-idx1-ubyte.gz", gzip(idx([1], [1])))
        let test = try folder.open(.test)
        XCTAssertEqual(test.classes, 7)
        XCTAssertEqual(labels(test), [1])
        XCTAssertEqual(bytes(test), [5, 6, 7, 8])
        XCTAssertNil(test.className(1))
    }
}
