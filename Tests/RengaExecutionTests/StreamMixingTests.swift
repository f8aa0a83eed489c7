// StreamMixingTests: merge-and-run networks whose streams are mixed by a matrix of one's own: they do what the matrix says.
// Not here: matrices that are refused (RengaArchitecturesTests).
import RengaArchitectures
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class StreamMixingTests: XCTestCase {
    private func network(_ options: String, size: String = "depth=14,width=3,input=8x7x3") throws -> Network {
        var network = try Architectures.make("dmrnet", options: Attributes(text: "\(size),\(options)"))
        try network.randomiseParameters(seed: 3)
        return network
    }

    private func run(_ network: Network) throws -> [Float] {
        var random = TestRandom(4)
        var options = SessionOptions()
        (options.batch, options.threads) = (2, 2)
        return try Session(network, options).run([random.floats(2 * 8 * 7 * 3)], n: 2)[0]
    }

    private func assertSame(_ a: String, _ b: String) throws {
        let expected = try run(network(b))
        assertClose(
            try run(network(a)), expected, absolute: 2e-5 * (expected.map(\.magnitude).max() ?? 1), relative: 0, a)
        XCTAssertGreaterThan(Set(expected).count, expected.count / 2, "the outputs say nothing")
    }

    func testTheMeanAsAMatrixIsMergeAndRun() throws {
        for collapse in ["once", "twice", "concat"] {
            try assertSame(
                "branches=2,mapping=custom,mixing=0.5 0.5; 0.5 0.5,collapse=\(collapse)",
                "branches=2,collapse=\(collapse)")
        }
        let third = "0.333333333333 0.333333333333 0.333333333333; "
        try assertSame("branches=3,mapping=custom,mixing=\(third)\(third)\(third)", "branches=3")
    }

    func testTheUnitMatrixIsTheControl() throws {
        try assertSame(
            "branches=3,mapping=custom,mixing=1 0 0; 0 1 0; 0 0 1,collapse=concat",
            "branches=3,mapping=identity,collapse=concat")
    }

    /// Pairs that share their mean: streams 1 and 2 know nothing of 3; the same rows are computed once.
    func testBlocksOfStreams() throws {
        let structure = try network("branches=3,mapping=custom,mixing=0.5 0.5 0; 0.5 0.5 0; 0 0 1,collapse=concat")
            .structure
        let mixtures = structure.nodes.filter { $0.op is WeightedSum }
        XCTAssertTrue(mixtures.allSatisfy { $0.name.hasSuffix("mix1") && $0.inputs.count == 2 })
        XCTAssertEqual(mixtures.count, 5, "every block but the first, where all streams are one")
        let add = try XCTUnwrap(structure.nodes.first { $0.name == "stage1.block2.add3" })
        XCTAssertTrue(add.inputs.map { structure.name(of: $0) }.contains("stage1.block1.relu3"))
    }

    /// A projection that is not symmetric, with rows that do not sum to 1, trains: its gradients are those of finite differences.
    func testObliqueMixturesTrain() throws {
        let oblique = try network(
            "branches=2,mapping=custom,mixing=1.5 -0.5; 1.5 -0.5,relu=no", size: "depth=8,width=1,input=6x5x3")
        let check = try GradientCheck(oblique, n: 3)
        try check.check(check.plan(), "oblique")
    }
}
