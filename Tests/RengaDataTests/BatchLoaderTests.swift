// BatchLoaderTests.swift: which images come when, with which changes, and that threads and resuming do not show.
// Not here: training.
import Glibc
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaData

final class BatchLoaderTests: XCTestCase {
    private let shape = Shape(n: 23, h: 5, w: 7, c: 3)

    /// Labels are the image's own number, so a batch says which images it holds.
    private func makeSet(_ layout: ImageLayout = .nhwc) throws -> Dataset {
        try Dataset(
            copying: pattern(shape.count), labels: (0..<23).map { Int32($0) }, shape: shape, element: .u8,
            layout: layout, classes: 23)
    }

    private var options: BatchOptions {
        get throws {
            var options = BatchOptions(batch: 4)
            options.seed = 11
            options.augmentation = try Augmentation(pad: 2, flips: true)
            options.normalization = try Normalization(mean: [1, 2, 3], scale: [0.5, 0.25, 2])
            return options
        }
    }

    private struct Batch: Equatable {
        let position: BatchPosition
        let labels: [Int32]
        let images: [Float]
    }

    private func batches(_ loader: BatchLoader, _ count: Int, batch: Int = 4) throws -> [Batch] {
        var taken: [Batch] = []
        for _ in 0..<count {
            var images = [Float](repeating: -9, count: batch * shape.countPerImage)
            var labels = [Int32](repeating: -9, count: batch)
            let (position, count) = loader.next(src: &images, labels: &labels)
            XCTAssert(labels[count...].allSatisfy { $0 == -9 }, "behind the batch")
            XCTAssert(images[(count * shape.countPerImage)...].allSatisfy { $0 == -9 }, "behind the batch")
            taken.append(
                Batch(
                    position: position, labels: Array(labels[..<count]),
                    images: Array(images[..<(count * shape.countPerImage)])))
        }
        return taken
    }

    func testEveryImageOnceAnEpochInANewOrder() throws {
        var options = try options
        options.dropsLast = false
        let loader = try BatchLoader(makeSet(), options)
        XCTAssertEqual(loader.batchesPerEpoch, 6)
        let all = try batches(loader, 18)
        XCTAssertEqual(all.map { $0.labels.count }, [4, 4, 4, 4, 4, 3, 4, 4, 4, 4, 4, 3, 4, 4, 4, 4, 4, 3])
        XCTAssertEqual(
            all.map(\.position), (0..<18).map { BatchPosition(epoch: $0 / 6, batch: $0 % 6) })
        let orders = (0..<3).map { epoch in all[6 * epoch..<6 * epoch + 6].flatMap(\.labels) }
        for order in orders { XCTAssertEqual(order.sorted(), (0..<23).map { Int32($0) }) }
        XCTAssertEqual(Set(orders).count, 3, "each epoch has its own order")
        options.dropsLast = true
        let dropping = try BatchLoader(makeSet(), options)
        XCTAssertEqual(dropping.batchesPerEpoch, 5)
        XCTAssertEqual(Set(try batches(dropping, 5).flatMap(\.labels)).count, 20)
    }

    func testThreadsDoNotShow() throws {
        var options = try options
        options.dropsLast = false
        let alone = try batches(BatchLoader(makeSet(), options), 20)
        options.threads = 3
        XCTAssertEqual(try batches(BatchLoader(makeSet(), options), 20), alone)
        options.seed = 12
        XCTAssertNotEqual(try batches(BatchLoader(makeSet(), options), 20), alone)
    }

    /// Large enough to be shared: no image is left out or written twice, and no thread outlives the call.
    func testLargeBatchesAreMadeByTheTeam() throws {
        let shape = Shape(n: 64, h: 24, w: 24, c: 3)
        let set = try Dataset(
            copying: pattern(shape.count), labels: (0..<64).map { Int32($0) }, shape: shape, element: .u8,
            layout: .nhwc, classes: 64)
        var options = BatchOptions(batch: 32)
        options.augmentation = try Augmentation(pad: 2, flips: true)
        var made: [[Float]] = []
        for threads in [1, 2, 5] {
            options.threads = threads
            let loader = try BatchLoader(set, options)
            var images = [Float](repeating: .nan, count: 32 * shape.countPerImage)
            var labels = [Int32](repeating: -1, count: 32)
            for _ in 0..<2 { _ = loader.next(src: &images, labels: &labels) }
            XCTAssertEqual(Set(labels).count, 32)
            made.append(images + labels.map(Float.init))
        }
        XCTAssertEqual(made[0], made[1])
        XCTAssertEqual(made[0], made[2])
    }

    func testResumesAnywhere() throws {
        var options = try options
        for threads in [1, 2] {
            options.threads = threads
            let whole = try batches(BatchLoader(makeSet(), options), 12)
            for start in 0..<11 {
                let loader = try BatchLoader(
                    makeSet(), options, from: BatchPosition(epoch: start / 5, batch: start % 5))
                XCTAssertEqual(try batches(loader, 12 - start), Array(whole[start...]), "from batch \(start)")
                XCTAssertEqual(loader.position, BatchPosition(epoch: 2, batch: 2))
            }
        }
    }

    func testImagesAreTheDrawnCropsAndFlips() throws {
        var options = try options
        for layout in ImageLayout.allCases {
            options.threads = layout == .nhwc ? 2 : 1
            let set = try makeSet(layout)
            let pixels = bytes(set)
            var draws: [Augmentation.Draw] = []
            for batch in try batches(BatchLoader(set, options), 15) {
                for (slot, label) in batch.labels.enumerated() {
                    let draw = options.augmentation.draw(seed: 11, epoch: batch.position.epoch, image: Int(label))
                    draws.append(draw)
                    let got = batch.images[slot * shape.countPerImage..<(slot + 1) * shape.countPerImage]
                    XCTAssertEqual(Array(got), twin(Int(label), draw, pixels, layout), "image \(label), \(draw)")
                }
            }
            XCTAssertEqual(Set(draws.map(\.top)), [0, 1, 2, 3, 4])
            XCTAssertEqual(Set(draws.map(\.left)), [0, 1, 2, 3, 4])
            XCTAssertEqual(Set(draws.map(\.isFlipped)), [true, false])
        }
    }

    /// The definition, pixel by pixel: pad with the mean, crop, mirror the crop, normalise.
    private func twin(_ image: Int, _ draw: Augmentation.Draw, _ pixels: [UInt8], _ layout: ImageLayout) -> [Float] {
        let mean: [Float] = [1, 2, 3]
        let scale: [Float] = [0.5, 0.25, 2]
        var out: [Float] = []
        for y in 0..<5 {
            for x in 0..<7 {
                for c in 0..<3 {
                    let sourceY = y + draw.top - 2
                    let sourceX = (draw.isFlipped ? 6 - x : x) + draw.left - 2
                    guard (0..<5).contains(sourceY), (0..<7).contains(sourceX) else {
                        out.append(0)
                        continue
                    }
                    let index = layout == .nhwc ? (sourceY * 7 + sourceX) * 3 + c : c * 35 + sourceY * 7 + sourceX
                    out.append((Float(pixels[image * 105 + index]) - mean[c]) * scale[c])
                }
            }
        }
        return out
    }

    func testWithoutOptionsTheSetComesAsItIs() throws {
        var options = BatchOptions(batch: 10)
        options.shuffles = false
        options.dropsLast = false
        let set = try makeSet()
        let all = try batches(BatchLoader(set, options), 3, batch: 10)
        XCTAssertEqual(all.flatMap(\.labels), labels(set))
        XCTAssertEqual(all.flatMap(\.images), bytes(set).map { Float($0) })
    }

    func testHalfOfTheImagesAreFlippedAndCropsAreUniform() throws {
        let augmentation = try Augmentation(pad: 1, flips: true)
        let draws = (0..<9000).map { augmentation.draw(seed: 3, epoch: 2, image: $0) }
        // Six standard deviations of a binomial count.
        XCTAssertEqual(Double(draws.filter(\.isFlipped).count), 4500, accuracy: 6 * (9000 * 0.25).squareRoot())
        for top in 0...2 {
            for left in 0...2 {
                let count = draws.filter { $0.top == top && $0.left == left }.count
                XCTAssertEqual(Double(count), 1000, accuracy: 6 * (9000.0 / 9 * 8 / 9).squareRoot())
            }
        }
        XCTAssertNotEqual(draws, (0..<9000).map { augmentation.draw(seed: 3, epoch: 3, image: $0) })
        XCTAssertNotEqual(draws, (0..<9000).map { augmentation.draw(seed: 4, epoch: 2, image: $0) })
    }

    func testStartsNoThreadForAFewImagesAndLetsTheSetGo() throws {
        func threads() -> Int {
            guard let folder = opendir("/proc/self/task") else { return 0 }
            defer { closedir(folder) }
            var count = 0
            while readdir(folder) != nil { count += 1 }
            return count
        }
        let before = threads()
        weak var released: Dataset?
        do {
            let set = try makeSet()
            released = set
            for taken in 0..<60 {
                let loader = try BatchLoader(set, options)
                _ = try batches(loader, taken % 4)
            }
        }
        XCTAssertNil(released, "the set is let go")
        XCTAssertEqual(threads(), before)
    }

    func testAForkedChildGoesOnWithTheSameBatches() throws {
        let expected = try batches(BatchLoader(makeSet(), options), 2)[1]
        let loader = try BatchLoader(makeSet(), options)
        _ = try batches(loader, 1)
        // Swift hides fork(); hosts (Python's multiprocessing) call it all the same.
        typealias Fork = @convention(c) () -> pid_t
        let fork = unsafeBitCast(try XCTUnwrap(dlsym(nil, "fork")), to: Fork.self)
        let child = fork()
        if child == 0 {
            alarm(20)
            _exit((try? batches(loader, 1)) == [expected] ? 42 : 1)
        }
        var status: Int32 = 0
        XCTAssertEqual(waitpid(child, &status, 0), child)
        XCTAssertEqual(status, 42 << 8, "exit code 42, no signal")
        XCTAssertEqual(try batches(loader, 1), [expected], "the parent goes on")
    }

    func testRefusesWhatCannotBe() throws {
        let set = try makeSet()
        for batch in [0, -1, 24, .max] {
            expect(.invalidArgument, "\(batch) images", "23") { _ = try BatchLoader(set, BatchOptions(batch: batch)) }
        }
        var options = try options
        for (epoch, batch) in [(-1, 0), (0, 5), (0, -1), (.max, 4)] {
            expect(.invalidArgument, "epoch \(epoch)") {
                _ = try BatchLoader(set, options, from: BatchPosition(epoch: epoch, batch: batch))
            }
        }
        options.normalization = try Normalization(mean: [1], scale: [1])
        expect(.shapeMismatch, "1 channels", "3") { _ = try BatchLoader(set, options) }
        expect(.invalidArgument, "pad -1") { _ = try Augmentation(pad: -1, flips: false) }
        // A batch may be larger than the set where the last one need not be whole.
        options = BatchOptions(batch: 40)
        options.dropsLast = false
        XCTAssertEqual(try batches(BatchLoader(set, options), 1, batch: 40)[0].labels.count, 23)
    }
}
