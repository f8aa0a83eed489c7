// IDXTests.swift: the IDX reader on whole, damaged and hostile files, plain and gzip, and on the real Fashion-MNIST.
// Not here: other formats.
import Glibc
import RengaData
import RengaNetwork
import TestSupport
import XCTest

final class IDXTests: XCTestCase {
    private let pixels = pattern(3 * 4 * 5)
    private var images: [UInt8] { idx([3, 4, 5], pixels) }
    private let labelBytes = idx([3], [2, 0, 1])

    func testReadsPlainAndGzip() throws {
        let scratch = try Scratch()
        let big = idx([2, 300, 301], pattern(2 * 300 * 301))
        for isPacked in [false, true] {
            let set = try IDX.dataset(
                images: scratch.write("i", isPacked ? gzip(images) : images),
                labels: scratch.write("l", isPacked ? gzip(labelBytes) : labelBytes))
            XCTAssertEqual(set.shape, Shape(n: 3, h: 4, w: 5, c: 1))
            XCTAssertEqual(labels(set), [2, 0, 1])
            XCTAssertEqual(set.classes, 3)
            XCTAssertEqual(bytes(set), pixels)
            XCTAssertEqual(set.element, .u8)
            // Longer than one chunk of the reader.
            let long = try IDX.dataset(
                images: scratch.write("i", isPacked ? gzip(big) : big),
                labels: scratch.write("l", idx([2], [0, 1])))
            XCTAssertEqual(bytes(long), pattern(2 * 300 * 301))
        }
    }

    func testReadsColourAndSeveralMembers() throws {
        let scratch = try Scratch()
        let colour = idx([3, 2, 2, 5], pixels)
        let packed = try gzip(Array(colour[..<30])) + gzip(Array(colour[30...]))
        let set = try IDX.dataset(
            images: scratch.write("i", packed), labels: scratch.write("l", labelBytes), classes: 10)
        XCTAssertEqual(set.shape, Shape(n: 3, h: 2, w: 2, c: 5))
        XCTAssertEqual(set.classes, 10)
        XCTAssertEqual(bytes(set), pixels)
    }

    func testEveryTruncationIsRefused() throws {
        let scratch = try Scratch()
        let labelFile = try scratch.write("l", labelBytes)
        for file in [images, try gzip(images)] {
            for length in 0..<file.count {
                let cut = try scratch.write("cut", Array(file[..<length]))
                expect(.corruptData, "cut") { _ = try IDX.dataset(images: cut, labels: labelFile) }
            }
            let longer = try scratch.write("cut", file + [0])
            expect(.corruptData, "cut") { _ = try IDX.dataset(images: longer, labels: labelFile) }
        }
    }

    func testEveryFlippedByteOfAGzipFileIsRefusedOrHarmless() throws {
        let scratch = try Scratch()
        let labelFile = try scratch.write("l", labelBytes)
        let packed = try gzip(images)
        // Bytes 4…9 of the header (time, flags of the compressor, system) say nothing about the content.
        for index in packed.indices {
            var damaged = packed
            damaged[index] ^= 0x41
            let file = try scratch.write("damaged", damaged)
            do {
                let set = try IDX.dataset(images: file, labels: labelFile)
                XCTAssert((4...9).contains(index), "byte \(index)")
                XCTAssertEqual(bytes(set), pixels)
            } catch {
                XCTAssertEqual(error.status, .corruptData, error.message)
            }
        }
    }

    func testHostileHeadersAreRefusedWithoutMemory() throws {
        let scratch = try Scratch()
        let labelFile = try scratch.write("l", labelBytes)
        let huge = [0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF]
        let cases: [(String, [UInt8])] = [
            ("huge extents", idx(huge, pixels)), ("huge extents, packed", try gzip(idx(huge, pixels))),
            ("a zero extent", idx([3, 0, 5], [])), ("another element type", [0, 0, 0x0D, 3] + images[4...]),
            ("two dimensions", idx([3, 20], pixels)), ("five dimensions", idx([3, 1, 2, 2, 5], pixels)),
            ("a bomb", try gzip([0, 0, 8, 3] + [0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 0, 9] + pixels)),
            ("text", Array("hello, world".utf8)), ("nothing", []),
        ]
        for (what, file) in cases {
            let path = try scratch.write("hostile", file)
            XCTAssertThrowsError(try IDX.dataset(images: path, labels: labelFile), what) { error in
                XCTAssertEqual((error as? RengaError)?.status, .corruptData, "\(what): \(error)")
            }
        }
    }

    func testABombBehindAHonestHeaderIsCutOff() throws {
        let scratch = try Scratch()
        let bomb = try gzip(images + [UInt8](repeating: 0, count: 1 << 22))
        XCTAssertLessThan(bomb.count, 10_000)
        let file = try scratch.write("bomb", bomb)
        let labelFile = try scratch.write("l", labelBytes)
        expect(.corruptData, "goes on") { _ = try IDX.dataset(images: file, labels: labelFile) }
    }

    func testCountsAndLabelsMustFit() throws {
        let scratch = try Scratch()
        let imageFile = try scratch.write("i", images)
        let two = try scratch.write("l2", idx([2], [0, 1]))
        expect(.corruptData, "3 images", "2 labels") { _ = try IDX.dataset(images: imageFile, labels: two) }
        let three = try scratch.write("l3", labelBytes)
        expect(.invalidArgument, "label 2", "0..<2") {
            _ = try IDX.dataset(images: imageFile, labels: three, classes: 2)
        }
    }

    func testWhatIsNoFileIsSaid() throws {
        let scratch = try Scratch()
        let labelFile = try scratch.write("l", labelBytes)
        let fifo = "\(scratch.path)/fifo"
        XCTAssertEqual(mkfifo(fifo, 0o600), 0)
        for (path, words) in [
            (scratch.path, "folder"), (fifo, "regular"), ("\(scratch.path)/none", "No such file"),
            ("/dev/zero", "regular"),
        ] {
            expect(.fileError, words, path) { _ = try IDX.dataset(images: path, labels: labelFile) }
        }
        expect(.invalidArgument, "empty") { _ = try IDX.dataset(images: "", labels: labelFile) }
        expect(.invalidArgument, "NUL") { _ = try IDX.dataset(images: labelFile + "\0x", labels: labelFile) }
    }

    /// Where the Debian package `dataset-fashion-mnist` is missing this still proves that the sentence says what was expected.
    func testFashionMNIST() throws {
        let folder = DatasetFolder("/usr/share/datasets/fashion-mnist")
        guard access(folder.path, F_OK) == 0 else {
            print("dataset-fashion-mnist is not installed: its counts and mean were not checked")
            expect(.notFound, "train-images-idx3-ubyte") { _ = try folder.open(.train) }
            return
        }
        let train = try folder.open(.train)
        let test = try folder.open(.test)
        XCTAssertEqual(train.shape, Shape(n: 60_000, h: 28, w: 28, c: 1))
        XCTAssertEqual(test.shape, Shape(n: 10_000, h: 28, w: 28, c: 1))
        for set in [train, test] {
            var counts = [Int](repeating: 0, count: set.classes)
            for label in labels(set) { counts[Int(label)] += 1 }
            XCTAssertEqual(counts, [Int](repeating: set.shape.n / 10, count: 10))
            XCTAssertEqual(set.className(9), "Ankle boot")
        }
        XCTAssertEqual(Array(labels(train).prefix(5)), [9, 0, 0, 3, 0])
    }
}
