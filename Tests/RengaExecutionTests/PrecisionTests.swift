// PrecisionTests.swift: sessions and training plans in bf16 against their f32 twins: every operator, every family, every instruction set.
// Not here: the kernels alone (KernelTests), whole trainings (RengaTrainingTests).
import CRengaKernels
import RengaArchitectures
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class PrecisionTests: XCTestCase {
    /// What a bf16 result may differ from the f32 one by, as a share of its root mean square: each rounding adds 2^-9.
    private let bound = 2.5e-2

    /// Every one that this processor runs, also such as are not there yet.
    private let sets = (0..<8).map { rk_isa(rawValue: $0) }
        .filter { rk_isa_supported($0) != 0 }

    private func relativeError(_ a: [Float], _ b: [Float]) -> Double {
        let difference = zip(a, b).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        return (difference / max(b.reduce(0.0) { $0 + Double($1) * Double($1) }, 1e-12)).squareRoot()
    }

    private func session(
        _ network: Network, _ precision: Precision, _ change: (inout SessionOptions) -> Void = { _ in }
    ) throws -> Session {
        var options = SessionOptions()
        (options.batch, options.threads, options.precision, options.serialWhereSmall) = (3, 2, precision, false)
        change(&options)
        return try Session(network, options)
    }

    private func images(_ network: Network, n: Int = 3) -> [[Float]] {
        var random = TestRandom(3)
        return network.inputs.map { random.floats(n * $0.h * $0.w * $0.c) }
    }

    // MARK: - Inference

    func testEveryOperatorStaysNearF32() throws {
        for test in try Cases.all() {
            let images = images(test.network)
            let expected = try session(test.network, .f32).run(images, n: 3)[0]
            for isa in sets {
                let found = try session(test.network, .bf16) { $0.isa = isa }.run(images, n: 3)[0]
                XCTAssertLessThan(relativeError(found, expected), bound, "\(test.name), isa \(isa.rawValue)")
                XCTAssertNotEqual(found, expected, "\(test.name), isa \(isa.rawValue): nothing was computed in bf16")
            }
        }
    }

    private static let families = [
        ("cnn", "width=5,convolutions=1,input=8x8x3"), ("resnet", "depth=8,input=16x16x3"),
        ("resnet", "depth=8,order=pre,shortcut=project,input=9x8x3"),
        ("resnet", "depth=11,order=pre,block=bottleneck,input=8x8x3"),
        ("resnext", "depth=11,groups=3,width=5,input=8x8x3"), ("inception", "depth=8,branches=3,input=8x8x3"),
        ("dmrnet", "depth=8,input=8x8x3"), ("dmrnet", "depth=14,branches=3,collapse=concat,input=7x8x3"),
        ("pyramidnet", "depth=8,alpha=13,input=9x7x3"), ("squeezenet", "version=1.1,input=35x33x3"),
    ]

    func testFamiliesStayNearF32AndAgreeOnTheAnswer() throws {
        for (family, options) in Self.families {
            let network = try Architectures.make(family, options: Attributes(text: options), seed: 5)
            let images = images(network)
            let expected = try session(network, .f32).run(images, n: 3)[0]
            for isa in sets {
                let found = try session(network, .bf16) { $0.isa = isa }.run(images, n: 3)[0]
                let what = "\(family) \(options), isa \(isa.rawValue)"
                XCTAssertLessThan(relativeError(found, expected), bound, what)
                try assertSameAnswers(found, expected, classes: expected.count / 3, what)
            }
        }
    }

    /// The same largest output, wherever it leads by more than rounding could turn.
    private func assertSameAnswers(_ found: [Float], _ expected: [Float], classes: Int, _ what: String) throws {
        for first in stride(from: 0, to: expected.count, by: classes) {
            let wanted = expected[first..<first + classes]
            let given = found[first..<first + classes]
            let best = try XCTUnwrap(wanted.indices.max { wanted[$0] < wanted[$1] })
            let second = wanted.indices.filter { $0 != best }.map { wanted[$0] }.max() ?? -.infinity
            let scale = (wanted.reduce(0) { $0 + $1 * $1 } / Float(classes)).squareRoot()
            guard wanted[best] - second > 4 * Float(bound) * scale else { continue }
            XCTAssertEqual(given.indices.max { given[$0] < given[$1] }, best, what)
        }
    }

    func testSameBitsForAnyThreadsBatchMemoryAndRun() throws {
        for test in try Cases.all() {
            let images = images(test.network)
            let usual = try session(test.network, .bf16) { $0.threads = 1 }
            let full = try usual.run(images, n: 3)
            for change: (inout SessionOptions) -> Void in [
                { $0.threads = 2 }, { $0.threads = 3 }, { $0.reuseMemory = false }, { $0.batch = 7 },
            ] {
                let other = try session(test.network, .bf16, change)
                XCTAssertEqual(try other.run(images, n: 3), full, test.name)
                XCTAssertEqual(try other.run(images, n: 3), full, "\(test.name), a second run")
            }
            let one = try usual.run(images.map { Array($0.prefix($0.count / 3)) }, n: 1)[0]
            XCTAssertEqual(one, Array(full[0].prefix(one.count)), "\(test.name), one image")
        }
    }

    /// Outputs are f32 wherever they lie in the network: an input comes out as it went in.
    func testOutputsAreF32() throws {
        var net = try Layers(h: 5, w: 4, c: 3)
        let input = net.last
        let first = try net.add("convolution", ["channels": "8", "kernel": "3", "pad": "1"])
        let relu = try net.add("relu")
        try net.add("global_average_pool")
        try net.add("flatten")
        let logits = try net.add("linear", ["channels": "6"])
        let softmax = try net.add("softmax")
        let network = try net.network([input, first, relu, logits, softmax])
        let images = images(network)
        let (found, expected) = (
            try session(network, .bf16).run(images, n: 3), try session(network, .f32).run(images, n: 3)
        )
        XCTAssertEqual(found[0], images[0])
        for (a, b) in zip(found, expected) { XCTAssertLessThan(relativeError(a, b), bound) }
        for row in 0..<3 {
            XCTAssertEqual(found[4][row * 6..<row * 6 + 6].reduce(0, +), 1, accuracy: 1e-5, "a softmax in f32")
        }
        XCTAssertTrue(found[3].contains { $0.bitPattern & 0xFFFF != 0 }, "logits were rounded to bf16")
    }

    func testNaNGoesThrough() throws {
        let network = try Cases.blocks()[1].network
        let session = try session(network, .bf16)
        var images = images(network)
        let clean = try session.run(images, n: 3)[0]
        images[0][7] = .nan
        let dirty = try session.run(images, n: 3)[0]
        XCTAssertTrue(dirty.prefix(5).allSatisfy(\.isNaN))
        XCTAssertEqual(Array(dirty.suffix(10)), Array(clean.suffix(10)))
    }

    func testActivationsHalve() throws {
        let network = try Architectures.make("resnet", options: ["depth": "20"])
        let (half, whole) = (try session(network, .bf16).memory, try session(network, .f32).memory)
        XCTAssertLessThan(Double(half.activations), 0.55 * Double(whole.activations))
        XCTAssertLessThan(Double(half.activationsLowerBound), 0.55 * Double(whole.activationsLowerBound))
        // Bands keep less, and are f32's alone.
        let plans = try [Precision.bf16, .f32].map { try plan(network, $0, n: 8, bands: .never).memory }
        XCTAssertLessThan(Double(plans[0].activations), 0.6 * Double(plans[1].activations))
        XCTAssertEqual(plans[0].parameters, plans[1].parameters)
    }

    // MARK: - Training

    private func plan(
        _ network: Network, _ precision: Precision, n: Int, isa: rk_isa = rk_isa_best(), threads: Int = 2,
        bands: BandChoice = .byRule
    ) throws -> TrainingPlan {
        var options = TrainingPlan.Options(n: n, threads: threads, isa: isa, labelSmoothing: 0.1)
        (options.precision, options.serialWhereSmall, options.bands) = (precision, false, bands)
        let plan = try TrainingPlan(network, options)
        (plan.dropoutKey, plan.dropoutCounter) = (99, 5)
        return plan
    }

    private func labels(_ n: Int, _ classes: Int) -> [Int] { (0..<n).map { ($0 * 3 + 1) % classes } }

    private func cosine(_ a: [Float], _ b: [Float]) -> Double {
        func product(_ x: [Float], _ y: [Float]) -> Double { zip(x, y).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
        return product(a, b) / max((product(a, a) * product(b, b)).squareRoot(), 1e-30)
    }

    /// The whole gradient is near the f32 one, and each parameter's points where its twin does and is as long. Those that are rounding's
    /// only (a bias before a batch norm has none) are left out.
    private func assertNear(_ found: TrainingPlan, _ expected: TrainingPlan, limit: Double, _ what: String) {
        let (given, wanted) = (found.gradientsByName, expected.gradientsByName)
        let names = wanted.keys.sorted()
        let (all, twins) = (names.flatMap { given[$0] ?? [] }, names.flatMap { wanted[$0] ?? [] })
        XCTAssertLessThan(relativeError(all, twins), limit, what)
        let largest = wanted.values.map { norm($0) / Double($0.count).squareRoot() }.max() ?? 0
        for name in names {
            let (gradient, twin) = (given[name] ?? [], wanted[name] ?? [])
            guard norm(twin) / Double(twin.count).squareRoot() > 1e-2 * largest else { continue }
            XCTAssertGreaterThan(cosine(gradient, twin), 1 - limit / 2, "\(what): \(name)")
            XCTAssertEqual(norm(gradient) / norm(twin), 1, accuracy: 3 * limit, "\(what): \(name)")
        }
    }

    private func norm(_ values: [Float]) -> Double {
        values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    func testGradientsStayNearF32() throws {
        for test in try Cases.all() {
            let images = images(test.network, n: 12)[0]
            let expected = try plan(test.network, .f32, n: 12)
            let loss = try expected.run(images, labels(12, 5)).loss
            for isa in sets {
                let found = try plan(test.network, .bf16, n: 12, isa: isa)
                XCTAssertEqual(try found.run(images, labels(12, 5)).loss, loss, accuracy: bound * loss, test.name)
                // Blocks stack six batch norms of small batches, which feel each rounding: PyTorch's gradients of such networks are off
                // by about a tenth too (RengaTrainingTests). The maximum of a whole map changes its place with a rounding.
                let isRough = test.name.hasSuffix("blocks") || test.name.hasPrefix("global_max_pool")
                let limit = isRough ? 0.2 : 0.1
                assertNear(found, expected, limit: limit, "\(test.name), isa \(isa.rawValue)")
            }
        }
    }

    func testGradientsAreTheSameBitsForAnyThreadsMemoryAndRun() throws {
        for test in try Cases.all() {
            let images = images(test.network)[0]
            let one = try plan(test.network, .bf16, n: 3, threads: 1)
            try one.run(images, labels(3, 5))
            let gradients = one.gradientsByName
            try one.run(images, labels(3, 5))
            XCTAssertEqual(one.gradientsByName, gradients, "\(test.name), a second run")
            for threads in 2...3 {
                let other = try plan(test.network, .bf16, n: 3, threads: threads)
                try other.run(images, labels(3, 5))
                XCTAssertEqual(other.gradientsByName, gradients, "\(test.name), \(threads) threads")
            }
            var options = TrainingPlan.Options(n: 3, threads: 2, labelSmoothing: 0.1)
            (options.precision, options.reuseMemory) = (.bf16, false)
            let apart = try TrainingPlan(test.network, options)
            (apart.dropoutKey, apart.dropoutCounter) = (99, 5)
            try apart.run(images, labels(3, 5))
            XCTAssertEqual(apart.gradientsByName, gradients, "\(test.name), memory not shared")
        }
    }
}
