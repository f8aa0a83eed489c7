// BandTests.swift: chunks of images that go through several steps at a time compute what the steps compute one by one, for any size of
// chunk and any number of threads.
import CRengaKernels
import RengaArchitectures
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class BandTests: XCTestCase {
    private func session(_ network: Network, _ bands: BandChoice, batch: Int = 5, threads: Int = 2) throws -> Session {
        var options = SessionOptions()
        (options.batch, options.threads, options.bands, options.serialWhereSmall) = (batch, threads, bands, false)
        return try Session(network, options)
    }

    private func images(_ network: Network, n: Int) throws -> [[Float]] {
        var random = TestRandom(3)
        let shapes = try network.shapes(n: n)
        return network.inputs.indices.map { random.floats(shapes[$0].count) }
    }

    func testDepthFirstIsLayerByLayer() throws {
        for test in try Cases.all() {
            let images = try images(test.network, n: 5)
            let expected = try session(test.network, .never).run(images, n: 5)
            for (size, threads) in [(1, 2), (2, 1), (2, 3), (4, 2)] {
                let banded = try session(test.network, .always(images: size), threads: threads)
                let what = "\(test.name), chunks of \(size), \(threads) threads"
                for _ in 0..<2 { XCTAssertEqual(try banded.run(images, n: 5), expected, what) }
                let some = images.map { Array($0.prefix($0.count / 5 * 3)) }
                let part = Array(expected[0].prefix(expected[0].count / 5 * 3))
                XCTAssertEqual(try banded.run(some, n: 3)[0], part, what)
            }
        }
    }

    func testSmallNetworksGoDepthFirstByRule() throws {
        let network = try Architectures.make("resnet", options: ["depth": "8", "input": "16x16x3"], seed: 5)
        let (banded, plain) = (try session(network, .byRule, batch: 64), try session(network, .never, batch: 64))
        let images = try images(network, n: 64)
        XCTAssertEqual(try banded.run(images, n: 64), try plain.run(images, n: 64))
        XCTAssertLessThan(banded.memory.activations, plain.memory.activations)
        let steps = try banded.profile(runs: 1)
        XCTAssertEqual(steps.map(\.name), try plain.profile(runs: 1).map(\.name))
        XCTAssertTrue(steps.allSatisfy { $0.seconds >= 0 && $0.seconds < 60 })
        XCTAssertEqual(steps.map(\.macs), try plain.profile(runs: 1).map(\.macs))
    }

    func testGradientsInBands() throws {
        for test in try Cases.all() {
            let check = try GradientCheck(test.network, n: 3)
            let plain = try check.plan { $0.bands = .never }
            try plain.run(check.images, check.labels)
            for size in 1...2 {
                let plan = try check.plan { $0.bands = .always(images: size) }
                let what = "\(test.name), chunks of \(size)"
                // The plain plan's gradients are those of finite differences (TrainingPlanTests).
                try plan.run(check.images, check.labels)
                for (name, gradient) in plain.gradientsByName {
                    assertClose(
                        plan.gradientsByName[name] ?? [], gradient, absolute: 2e-5, relative: 1e-4, "\(what): \(name)")
                }
                try assertSameStatistics(plan, plain, what)
            }
        }
    }

    private func assertSameStatistics(_ plan: TrainingPlan, _ plain: TrainingPlan, _ what: String) throws {
        let (some, all) = (plan.runningStatistics, plain.runningStatistics)
        assertClose(
            (0..<plan.statisticFloats).map { some[$0] }, (0..<plain.statisticFloats).map { all[$0] }, absolute: 1e-6,
            relative: 1e-5, "\(what): running statistics")
    }

    func testTrainingInBandsHasTheSameBitsForAnyThreads() throws {
        for test in try Cases.all() {
            let check = try GradientCheck(test.network, n: 5)
            var expected: [String: [Float]] = [:]
            for threads in [1, 2, 3, 5] {
                let plan = try check.plan(threads: threads) { $0.bands = .always(images: 2) }
                for _ in 0..<2 {
                    try plan.run(check.images, check.labels)
                    if expected.isEmpty { expected = plan.gradientsByName }
                    XCTAssertEqual(plan.gradientsByName, expected, "\(test.name), \(threads) threads")
                }
                let apart = try check.plan(threads: threads) {
                    ($0.bands, $0.reuseMemory) = (.always(images: 2), false)
                }
                try apart.run(check.images, check.labels)
                XCTAssertEqual(apart.gradientsByName, expected, "\(test.name), memory reuse changed bits")
            }
        }
    }

    func testResidualNetworksTrainInBandsByRule() throws {
        for (name, depth) in [("resnet", "14"), ("pyramidnet", "14"), ("dmrnet", "14")] {
            let network = try Architectures.make(name, options: ["depth": depth, "input": "32x32x3"], seed: 5)
            let check = try GradientCheck(network, n: 32)
            let banded = try check.plan { $0.bands = .byRule }
            let plain = try check.plan { $0.bands = .never }
            let loss = try plain.run(check.images, check.labels).loss
            XCTAssertEqual(try banded.run(check.images, check.labels).loss, loss, accuracy: 1e-5, name)
            XCTAssertLessThan(banded.memory.activations, plain.memory.activations, name)
            let names = Set(banded.profile(runs: 1).map(\.info.name))
            XCTAssertTrue(names.contains { $0.hasSuffix("moments") }, name)
            for (name, gradient) in plain.gradientsByName {
                assertClose(banded.gradientsByName[name] ?? [], gradient, absolute: 1e-4, relative: 1e-3, name)
            }
        }
    }
}
