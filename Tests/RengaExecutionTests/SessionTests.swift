// SessionTests.swift: inference plans against the interpreter, and every way of planning against every other.
import CRengaKernels
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class SessionTests: XCTestCase {
    private func images(_ network: Network, n: Int, seed: UInt64 = 3) -> [[Float]] {
        var random = TestRandom(seed)
        return network.inputs.map { random.floats(n * $0.h * $0.w * $0.c) }
    }

    private func options(
        batch: Int, threads: Int = 2, isa: rk_isa = rk_isa_best(), _ change: (inout SessionOptions) -> Void = { _ in }
    ) -> SessionOptions {
        var options = SessionOptions()
        (options.batch, options.threads, options.isa) = (batch, threads, isa)
        options.serialWhereSmall = false
        change(&options)
        return options
    }

    func testEveryOperatorAgainstTheInterpreter() throws {
        for isa in testedSets {
            for test in try Cases.all() {
                let images = images(test.network, n: 3)
                let session = try Session(test.network, options(batch: 3, isa: isa))
                let results = try session.run(images, n: 3)
                let shapes = try test.network.shapes(n: 3)
                let maps = try ReferenceInterpreter(test.network).run(
                    zip(images, shapes).map { ReferenceMap($1, $0.map(Double.init)) })
                for (index, output) in test.network.outputs.enumerated() {
                    assertClose(
                        results[index], maps[output].values.map { Float($0) }, absolute: 2e-5, relative: 2e-5,
                        "\(test.name), isa \(isa.rawValue)")
                }
            }
        }
    }

    func testFusionFoldingAndReuseChangeNothing() throws {
        for test in try Cases.all() {
            let images = images(test.network, n: 2)
            let usual = try Session(test.network, options(batch: 2)).run(images, n: 2)
            let apart = try Session(test.network, options(batch: 2) { $0.reuseMemory = false }).run(images, n: 2)
            XCTAssertEqual(usual, apart, "\(test.name): memory reuse changed bits")
            let unfused = try Session(test.network, options(batch: 2) { $0.fuse = false }).run(images, n: 2)
            assertClose(usual[0], unfused[0], absolute: 1e-5, relative: 1e-5, "\(test.name), unfused")
            let unfolded = try Session(test.network, options(batch: 2) { $0.foldBatchNorm = false }).run(images, n: 2)
            assertClose(usual[0], unfolded[0], absolute: 1e-5, relative: 1e-5, "\(test.name), unfolded")
        }
    }

    /// Whatever timing chooses: errors within the algorithms' bounds, the same choice again, the same bits in any batch.
    func testTunedSessions() throws {
        for test in try Cases.blocks() {
            let images = images(test.network, n: 3)
            let tuned = try Session(test.network, options(batch: 3) { $0.tune = true })
            let results = try tuned.run(images, n: 3)
            let usual = try Session(test.network, options(batch: 3)).run(images, n: 3)
            assertClose(results[0], usual[0], absolute: 2e-5, relative: 2e-5, test.name)
            let again = try Session(test.network, options(batch: 3) { $0.tune = true })
            XCTAssertEqual(try again.profile(runs: 1).map(\.algorithm), try tuned.profile(runs: 1).map(\.algorithm))
            XCTAssertEqual(try again.run(images, n: 3), results)
            let first = try tuned.run(images.map { Array($0.prefix($0.count / 3)) }, n: 1)[0]
            XCTAssertEqual(Array(results[0].prefix(first.count)), first, test.name)
        }
    }

    func testForcedLayers() throws {
        var net = try Layers(h: 12, w: 12, c: 16)
        for _ in 0..<3 { try net.add("convolution", ["channels": "16", "kernel": "3", "pad": "1"]) }
        let network = try net.network()
        func algorithms(_ text: String) throws -> [String] {
            let session = try Session(network, options(batch: 1, isa: RK_ISA_GENERIC) { $0.algorithm = text })
            return try session.profile(runs: 1).map(\.algorithm).filter { !$0.isEmpty }
        }
        XCTAssertEqual(try algorithms("direct"), ["direct", "direct", "direct"])
        XCTAssertEqual(
            try algorithms("direct,convolution_2=winograd-f2,convolution_3=reference"),
            ["direct", "winograd-f2", "reference"])
        for text in ["convolution_9=direct", "convolution_1=magic", "convolution_1=", "=direct", "direct,", ""] {
            XCTAssertThrowsError(try algorithms(text), text) { XCTAssertEqual(($0 as? RengaError)?.status, .notFound) }
        }
        XCTAssertThrowsError(try algorithms("convolution_1=depthwise")) {
            XCTAssertEqual(($0 as? RengaError)?.status, .unsupported)
        }
    }

    func testSameBitsForAnyThreadsBatchAndRun() throws {
        for test in try Cases.all() {
            let images = images(test.network, n: 5)
            let session = try Session(test.network, options(batch: 5, threads: 1))
            let full = try session.run(images, n: 5)[0]
            for threads in 2...3 {
                let other = try Session(test.network, options(batch: 5, threads: threads))
                XCTAssertEqual(try other.run(images, n: 5)[0], full, "\(test.name), \(threads) threads")
            }
            for n in [1, 3, 5, 2, 4] {
                let some = try session.run(images.map { Array($0.prefix($0.count / 5 * n)) }, n: n)[0]
                XCTAssertEqual(some, Array(full.prefix(full.count / 5 * n)), "\(test.name), n = \(n)")
            }
        }
    }

    func testSeveralInputsAndOutputs() throws {
        var builder = NetworkBuilder()
        let a = try builder.addInput("a", h: 4, w: 3, c: 2)
        let b = try builder.addInput("b", h: 4, w: 3, c: 5)
        let joined = try builder.add(Concat(), name: "joined", a, b)
        let conv = try builder.add(Convolution(channels: 6, window: Window(kernel: 3, pad: 1)), name: "conv", joined)
        let relu = try builder.add(ReLU(), name: "relu", conv)
        _ = try builder.add(Convolution(channels: 900, window: Window(kernel: 3)), name: "unused", conv)
        let dropped = try builder.add(Dropout(), name: "dropped", relu)
        var network = try builder.build(outputs: [dropped, conv, a, dropped])
        try network.randomiseParameters(seed: 4)
        let images = images(network, n: 2)
        let session = try Session(network, options(batch: 2))
        let results = try session.run(images, n: 2)
        let shapes = try network.shapes(n: 2)
        let maps = try ReferenceInterpreter(network).run(
            (0..<2).map { ReferenceMap(shapes[$0], images[$0].map(Double.init)) })
        assertClose(results[0], maps[relu].values.map { Float($0) }, "relu")
        assertClose(results[1], maps[conv].values.map { Float($0) }, "conv")
        XCTAssertEqual(results[2], images[0])
        XCTAssertEqual(results[3], results[0])
        XCTAssertEqual(session.steps, ["joined: concat(a, b)", "conv: convolution(joined)", "relu: relu(conv)"])
    }

    func testLayoutsElementsAndNormalisation() throws {
        var net = try Layers(h: 3, w: 5, c: 2)
        try net.add("convolution", ["channels": "3", "kernel": "3", "pad": "1"])
        var network = try net.network(seed: 5)
        let normalization = try Normalization(mean: [100, 20], scale: [0.02, 0.01])
        network.metadata[Normalization.metadataKey] = normalization.json
        let session = try Session(network, options(batch: 2))
        var random = TestRandom(6)
        let pixels = (0..<60).map { _ in UInt8(random.index(256)) }
        let expected = try session.run(
            [pixels.enumerated().map { (Float($1) - normalization.mean[$0 % 2]) * normalization.scale[$0 % 2] }], n: 2)[
                0]
        var planar = [UInt8](repeating: 0, count: 60)
        for n in 0..<2 {
            for p in 0..<15 { for c in 0..<2 { planar[(n * 2 + c) * 15 + p] = pixels[(n * 15 + p) * 2 + c] } }
        }
        for (bytes, layout) in [(pixels, ImageLayout.nhwc), (planar, .nchw)] {
            var result = [Float](repeating: 0, count: 90)
            try bytes.withUnsafeBytes { bytes in
                try result.withUnsafeMutableBufferPointer { result in
                    guard let data = bytes.baseAddress, let to = result.baseAddress else { return }
                    let shape = Shape(n: 2, h: 3, w: 5, c: 2)
                    try session.run(
                        [InputView(data: data, shape: shape, element: .u8, layout: layout)],
                        outputs: [OutputView(data: to, count: 90, layout: .nchw)], n: 2)
                }
            }
            for n in 0..<2 {
                for p in 0..<15 {
                    for c in 0..<3 {
                        XCTAssertEqual(result[(n * 3 + c) * 15 + p], expected[(n * 15 + p) * 3 + c], accuracy: 1e-5)
                    }
                }
            }
        }
    }

    func testImageSizeOverride() throws {
        let network = try Cases.blocks()[0].network
        let session = try Session(network, options(batch: 1) { ($0.height, $0.width) = (11, 9) })
        XCTAssertEqual(session.inputShapes, [Shape(n: 1, h: 11, w: 9, c: 3)])
        var random = TestRandom(8)
        let image = random.floats(297)
        let map = ReferenceMap(Shape(n: 1, h: 11, w: 9, c: 3), image.map(Double.init))
        let expected = try ReferenceInterpreter(network).run([map])
        assertClose(
            try session.run([image], n: 1)[0], expected[network.outputs[0]].values.map { Float($0) }, absolute: 2e-5)
        var net = try Layers(h: 4, w: 4, c: 1)
        try net.add("flatten")
        try net.add("linear", ["channels": "2"])
        let fixed = try net.network()
        assertFails(.shapeMismatch, "linear", "[25, 2]") {
            try Session(fixed, options(batch: 1) { ($0.height, $0.width) = (5, 5) })
        }
    }

    func testNaNGoesThrough() throws {
        let network = try Cases.blocks()[1].network
        let session = try Session(network, options(batch: 2))
        var images = images(network, n: 2)
        let clean = try session.run(images, n: 2)[0]
        images[0][7] = .nan
        let dirty = try session.run(images, n: 2)[0]
        XCTAssertTrue(dirty.prefix(5).allSatisfy(\.isNaN))
        XCTAssertEqual(Array(dirty.suffix(5)), Array(clean.suffix(5)))
    }

    func testRefusals() throws {
        let network = try Cases.blocks()[0].network
        assertFails(.invalidArgument, "batch") { try Session(network, options(batch: 0)) }
        assertFails(.invalidArgument, "threads") { try Session(network, options(batch: 1, threads: 257)) }
        assertFails(.notFound, "reference") { try Session(network, options(batch: 1) { $0.algorithm = "magic" }) }
        assertFails(.invalidArgument, "height") { try Session(network, options(batch: 1) { $0.height = 0 }) }
        assertFails(.outOfMemory) { try Session(network, options(batch: 1 << 30)) }
        let session = try Session(network, options(batch: 2))
        let images = images(network, n: 2)
        assertFails(.invalidArgument, "1...2") { try session.run(images, n: 3) }
        assertFails(.invalidArgument, "1 inputs") { try session.run([], outputs: [], n: 2) }
        var numbers = images[0] + [0]
        numbers.withUnsafeMutableBufferPointer { numbers in
            guard let base = numbers.baseAddress else { return }
            let shape = Shape(n: 2, h: 6, w: 7, c: 3)
            let (source, room) = (InputView(data: base, shape: shape), OutputView(data: base, count: 10))
            var wrong = source
            wrong.shape.w = 6
            assertFails(.shapeMismatch, "[2,6,7,3]") { try session.run([wrong], outputs: [room], n: 2) }
            var small = room
            small.count = 9
            assertFails(.shapeMismatch, "10 floats") { try session.run([source], outputs: [small], n: 2) }
            assertFails(.shapeMismatch, "[1,6,7,3]") { try session.run([source], outputs: [room], n: 1) }
        }
        var mean = network
        mean.metadata[Normalization.metadataKey] = "{\"mean\":[1],\"scale\":[1]}"
        let one = mean
        assertFails(.shapeMismatch, "normalisation") { try Session(one, options(batch: 1)) }
    }

    func testProfileNamesEveryStep() throws {
        let network = try Cases.blocks()[0].network
        let session = try Session(network, options(batch: 2) { $0.algorithm = "reference" })
        let profile = try session.profile(runs: 2)
        XCTAssertEqual(profile.count, session.steps.count + 2)
        XCTAssertEqual(profile[0].name, "import input")
        XCTAssertTrue(
            profile.filter { $0.operation.hasPrefix("convolution") }.allSatisfy { $0.algorithm == "reference" })
        XCTAssertEqual(profile.reduce(0) { $0 + $1.macs }, try ReferenceInterpreter.macs(network, n: 2))
        XCTAssertTrue(profile.allSatisfy { $0.bytes > 0 && $0.seconds >= 0 })
    }
}
