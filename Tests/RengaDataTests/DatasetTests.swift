// DatasetTests.swift: what a data set refuses, what it keeps, and the normalisation measured on it.
// Not here: files.
import Glibc
import RengaData
import RengaNetwork
import TestSupport
import XCTest

final class DatasetTests: XCTestCase {
    private let shape = Shape(n: 3, h: 2, w: 2, c: 2)

    private func set(_ pixels: [UInt8], _ layout: ImageLayout = .nhwc) throws -> Dataset {
        try Dataset(
            copying: pixels, labels: [0, 1, 2], shape: shape, element: .u8, layout: layout, classes: 3,
            classNames: ["a", "b", "c"])
    }

    func testCopiesAndSubsets() throws {
        var pixels = pattern(24)
        let whole = try set(pixels)
        pixels[0] ^= 1
        XCTAssertEqual(bytes(whole), pattern(24))
        let part = try whole.subset(1..<3)
        XCTAssertEqual(part.shape, Shape(n: 2, h: 2, w: 2, c: 2))
        XCTAssertEqual(bytes(part), Array(pattern(24)[8...]))
        XCTAssertEqual(labels(part), [1, 2])
        XCTAssertEqual(labels(try part.subset(1..<2)), [2])
        XCTAssertEqual(part.className(2), "c")
        for range in [1..<1, 0..<4, -1..<2] { expect(.invalidArgument, "0..<3") { _ = try whole.subset(range) } }
    }

    func testASubsetOutlivesItsWhole() throws {
        var part: Dataset?
        do { part = try set(pattern(24)).subset(2..<3) }
        XCTAssertEqual(part.map(bytes), Array(pattern(24)[16...]))
    }

    func testBorrowsWithoutCopying() throws {
        let pixels: [Float] = (0..<24).map { Float($0) }
        let labels: [Int32] = [0, 1, 0]
        try pixels.withUnsafeBytes { images in
            try labels.withUnsafeBufferPointer { labels in
                let base = try XCTUnwrap(images.baseAddress)
                let set = try Dataset(
                    borrowing: base, labels: XCTUnwrap(labels.baseAddress), shape: shape, element: .f32, layout: .nchw,
                    classes: 2)
                XCTAssertEqual(set.withImages { $0.baseAddress }, base)
                var nhwc = [Float](repeating: -1, count: 16)
                try set.subset(1..<3).copyImages(to: &nhwc)
                // Planes become neighbours: element (pixel, channel) was channel 4 + pixel.
                XCTAssertEqual(Array(nhwc.prefix(8)), [8, 12, 9, 13, 10, 14, 11, 15])
            }
        }
    }

    func testRefusesWhatCannotBe() throws {
        let labels: [Int32] = [0, 1, 2]
        func make(_ labels: [Int32], _ shape: Shape, _ classes: Int, _ names: [String] = []) throws {
            _ = try Dataset(
                copying: pattern(24), labels: labels, shape: shape, element: .u8, layout: .nhwc, classes: classes,
                classNames: names)
        }
        expect(.invalidArgument, "label 2 of image 2", "0..<2") { try make(labels, self.shape, 2) }
        expect(.invalidArgument, "label -1 of image 1") { try make([0, -1, 2], self.shape, 3) }
        expect(.invalidArgument, "classes") { try make(labels, self.shape, 0) }
        expect(.invalidArgument, "2 names") { try make(labels, self.shape, 3, ["x", "y"]) }
        expect(.invalidArgument, "extent") { try make(labels, Shape(n: 0, h: 2, w: 2, c: 2), 3) }
        expect(.invalidArgument, "extent") { try make(labels, Shape(n: 3, h: -2, w: 2, c: 2), 3) }
        expect(.invalidArgument, "elements") { try make(labels, Shape(n: 1 << 20, h: 1 << 20, w: 2, c: 1), 3) }
        for (value, at) in [(Float.nan, 0), (.infinity, 13), (-.infinity, 23)] {
            var pixels = [Float](repeating: 1, count: 24)
            pixels[at] = value
            expect(.notFinite, "image \(at / 8) ", "element \(at)") {
                _ = try Dataset(
                    copying: pixels, labels: labels, shape: self.shape, element: .f32, layout: .nhwc, classes: 3)
            }
        }
    }

    /// Textbook sums in double over the bytes, channel by channel.
    private func twin(_ value: (Int, Int, Int) -> Double) -> (mean: [Double], scale: [Double]) {
        var mean: [Double] = []
        var scale: [Double] = []
        for c in 0..<2 {
            let values = (0..<3).flatMap { n in (0..<4).map { value(n, $0, c) } }
            let m = values.reduce(0, +) / 12
            mean.append(m)
            scale.append(1 / (values.map { ($0 - m) * ($0 - m) }.reduce(0, +) / 12).squareRoot())
        }
        return (mean, scale)
    }

    func testMeasuresMeanAndScale() throws {
        let pixels = pattern(24)
        let floats = pixels.map { Float($0) - 300 }
        for layout in ImageLayout.allCases {
            func index(_ n: Int, _ p: Int, _ c: Int) -> Int {
                layout == .nhwc ? n * 8 + p * 2 + c : n * 8 + c * 4 + p
            }
            let float = try Dataset(
                copying: floats, labels: [0, 1, 2], shape: shape, element: .f32, layout: layout, classes: 3)
            let cases = [
                (try Normalization(measuring: set(pixels, layout)), twin { Double(pixels[index($0, $1, $2)]) }),
                (try Normalization(measuring: float), twin { Double(floats[index($0, $1, $2)]) }),
            ]
            for (measured, expected) in cases {
                for c in 0..<2 {
                    XCTAssertEqual(Double(measured.mean[c]), expected.mean[c], accuracy: 1e-4)
                    XCTAssertEqual(Double(measured.scale[c]), expected.scale[c], accuracy: 1e-6)
                }
            }
        }
        let constant = try Normalization(measuring: set([UInt8](repeating: 7, count: 24)))
        XCTAssertEqual(constant, try Normalization(mean: [7, 7], scale: [1, 1]))
    }

    /// The published mean of the real set; where the package is missing this still checks the twin's small set above.
    func testFashionMNISTHasItsPublishedMean() throws {
        let folder = DatasetFolder("/usr/share/datasets/fashion-mnist")
        guard access(folder.path, F_OK) == 0 else {
            print("dataset-fashion-mnist is not installed: its mean was not checked")
            return try testMeasuresMeanAndScale()
        }
        // In a debug build the first 5,000 images cost a second; all 60,000 have mean 72.94.
        let set = try folder.open(.train).subset(0..<5_000)
        let measured = try Normalization(measuring: set)
        let sum = set.withImages { $0.reduce(0) { $0 + Int($1) } }
        XCTAssertEqual(Double(measured.mean[0]), Double(sum) / Double(set.shape.count), accuracy: 1e-4)
        XCTAssertEqual(measured.mean[0], 72.94, accuracy: 0.5)
    }
}
