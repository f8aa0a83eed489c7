// LinearWeightsTests.swift: sessions whose fully connected layers keep their weights in bf16: error, memory, the same bits in any batch.
// Not here: the kernels alone (KernelTests), maps in bf16 (PrecisionTests).
import CRengaKernels
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class LinearWeightsTests: XCTestCase {
    private let sets = (0..<8).map { rk_isa(rawValue: $0) }.filter { rk_isa_supported($0) != 0 }

    /// VGG's end in small: a map, three fully connected layers, the first of them with weights beyond a core's caches.
    private func head() throws -> Network {
        var net = try Layers(h: 7, w: 7, c: 22)
        try net.add("flatten")
        try net.add("linear", ["channels": "1000"])
        try net.add("relu")
        try net.add("linear", ["channels": "70"])
        try net.add("relu")
        let logits = try net.add("linear", ["channels": "10"])
        return try net.network([logits])
    }

    private func session(
        _ network: Network, _ linearWeights: Precision, _ change: (inout SessionOptions) -> Void = { _ in }
    ) throws -> Session {
        try Session(network, options(linearWeights, change))
    }

    private func options(_ linearWeights: Precision, _ change: (inout SessionOptions) -> Void) -> SessionOptions {
        var options = SessionOptions()
        (options.batch, options.threads, options.linearWeights, options.serialWhereSmall) = (3, 2, linearWeights, false)
        change(&options)
        return options
    }

    private func images(_ network: Network) -> [[Float]] {
        var random = TestRandom(3)
        return network.inputs.map { random.floats(3 * $0.h * $0.w * $0.c) }
    }

    private func relativeError(_ a: [Float], _ b: [Float]) -> Double {
        let difference = zip(a, b).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        return (difference / max(b.reduce(0.0) { $0 + Double($1) * Double($1) }, 1e-12)).squareRoot()
    }

    func testStaysNearF32InEverySetAndPrecision() throws {
        let network = try head()
        let images = images(network)
        let reference = try session(network, .f32) { $0.algorithm = "reference" }.run(images, n: 3)[0]
        for isa in sets {
            let whole = try session(network, .f32) { $0.isa = isa }.run(images, n: 3)[0]
            XCTAssertLessThan(relativeError(whole, reference), 1e-5, "isa \(isa.rawValue)")
            let half = try session(network, .bf16) { $0.isa = isa }.run(images, n: 3)[0]
            XCTAssertLessThan(relativeError(half, reference), 2.5e-2, "isa \(isa.rawValue)")
            // The reference keeps no weights of its own.
            XCTAssertEqual(half == whole, isa == RK_ISA_REFERENCE, "isa \(isa.rawValue)")
            let both = try session(network, .bf16) { ($0.isa, $0.precision) = (isa, .bf16) }.run(images, n: 3)[0]
            XCTAssertLessThan(relativeError(both, reference), 2.5e-2, "isa \(isa.rawValue), maps in bf16")
        }
    }

    func testWeightsHalveAndTheQueryTells() throws {
        let network = try head()
        let (half, whole) = (try session(network, .bf16), try session(network, .f32))
        XCTAssertLessThan(Double(half.memory.weights), 0.51 * Double(whole.memory.weights))
        XCTAssertEqual(
            try Session.memory(of: network, options(.bf16) { _ in }).weights, half.memory.weights, "planned and held")
        func algorithms(_ session: Session) throws -> [String] {
            try session.profile(runs: 1).filter { $0.macs > 0 }.map(\.algorithm)
        }
        XCTAssertEqual(try algorithms(half), ["stream-bf16", "stream-bf16", "stream-bf16"])
        XCTAssertEqual(try algorithms(whole), ["stream", "direct", "direct"])
        let large = try session(network, .f32) { $0.batch = 64 }
        XCTAssertEqual(try algorithms(large), ["direct", "direct", "direct"])
    }

    func testSameBitsForAnyThreadsAndBatch() throws {
        let network = try head()
        let images = images(network)
        for weights in Precision.allCases {
            let usual = try session(network, weights) { $0.threads = 1 }
            let full = try usual.run(images, n: 3)[0]
            XCTAssertEqual(try session(network, weights) { $0.threads = 3 }.run(images, n: 3)[0], full)
            // What is forced or asked for by the session does not change with its batch; the rule's choice does with the full one alone.
            if weights == .bf16 {
                XCTAssertEqual(try session(network, weights) { $0.batch = 70 }.run(images, n: 3)[0], full)
            }
            for first in 0..<3 {
                let size = images[0].count / 3
                let one = try usual.run([Array(images[0][first * size..<(first + 1) * size])], n: 1)[0]
                XCTAssertEqual(one, Array(full[first * 10..<first * 10 + 10]), "image \(first)")
            }
        }
    }

    /// A layer's own algorithm goes before what the session asks for its weights.
    func testALayersForcedAlgorithmStands() throws {
        let network = try head()
        let layer = try XCTUnwrap(network.nodes.first { $0.op is Linear }).name
        let mixed = try session(network, .bf16) { $0.algorithm = "\(layer)=direct" }
        let used = try mixed.profile(runs: 1).filter { $0.macs > 0 }.map(\.algorithm)
        XCTAssertEqual(used, ["direct", "stream-bf16", "stream-bf16"])
        let forced = try session(network, .f32) { $0.algorithm = "stream" }.profile(runs: 1).filter { $0.macs > 0 }
        XCTAssertEqual(forced.map(\.algorithm), ["stream", "stream", "stream"])
    }
}
