// StochasticDepthTests: the gates that families put on their branches: where, with which probabilities, and that nothing else changes.
// Not here: the law of a gate (RengaNetworkTests), how it runs (RengaExecutionTests).
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

final class StochasticDepthTests: XCTestCase {
    private func describe(_ name: String, _ options: String) throws -> NetworkStructure {
        try Architectures.describe(name, options: Attributes(text: options)).structure
    }

    private func gates(_ structure: NetworkStructure) -> [StochasticGate] {
        structure.nodes.compactMap { $0.op as? StochasticGate }
    }

    /// p_l = 1 - l / (2 N), so that of one kind (3 N - 1) / 4 gates are open on average; all closed and all open as the paper's code has it.
    func testExpectedOpenGatesOfThePapersNetworks() throws {
        for (depth, alpha, open, closedJoint, closedSeparate, bothOpen) in [
            (110, 270, 40.25, 13.75, 4.63, 31.13), (182, 150, 67.25, 22.75, 7.63, 52.13),
        ] {
            let options = "depth=\(depth),alpha=\(alpha),stochastic_depth="
            let joint = gates(try describe("pyramidnet", options + "joint"))
            let separate = gates(try describe("pyramidnet", options + "separate"))
            XCTAssertEqual(joint.count, (depth - 2) / 2)
            XCTAssertEqual(separate.count, joint.count)
            for (index, gate) in joint.enumerated() {
                let survival = 1 - Double(index + 1) / Double(2 * joint.count)
                XCTAssertEqual(gate.survivals, [survival])
                XCTAssertEqual(separate[index].survivals, [survival, survival])
            }
            XCTAssertEqual(joint.last?.survival, 0.5)
            XCTAssertEqual(joint.reduce(0) { $0 + $1.survival }, open, accuracy: 1e-9)
            XCTAssertEqual(joint.reduce(0) { $0 + 1 - $1.survival }, closedJoint, accuracy: 1e-9)
            XCTAssertEqual(
                separate.reduce(0) { $0 + (1 - $1.survival) * (1 - $1.survivalLower) }, closedSeparate, accuracy: 5e-3)
            XCTAssertEqual(separate.reduce(0) { $0 + $1.survival * $1.survivalLower }, bothOpen, accuracy: 5e-3)
        }
    }

    func testSeparateGatesSplitWhereTheShortcutEnds() throws {
        for (options, first) in [("depth=20,alpha=24", 16), ("depth=20,alpha=7,block=bottleneck", 16)] {
            let structure = try describe("pyramidnet", options + ",stochastic_depth=separate,gate_correlation=0.25")
            let shapes = try structure.shapes(n: 1)
            var old = first
            for (index, node) in structure.nodes.enumerated() {
                guard let gate = node.op as? StochasticGate else { continue }
                let c = shapes[structure.value(ofNode: index)].c
                XCTAssertEqual(gate.split, c > old ? old : 0, node.name)
                XCTAssertEqual(gate.correlation, 0.25)
                old = c
            }
        }
        // A width that does not grow in every block: one gate where there is no new channel.
        let narrow = gates(try describe("pyramidnet", "depth=38,alpha=6,stochastic_depth=separate,survival_lower=0.2"))
        XCTAssertEqual(narrow.filter { $0.split == 0 }.count, 12)
        XCTAssertEqual(narrow.filter { $0.split > 0 }.count, 6)
        for (index, gate) in narrow.enumerated() {
            XCTAssertEqual(gate.survival, 1 - Double(index + 1) / 36, accuracy: 1e-12)
            if gate.split > 0 { XCTAssertEqual(gate.survivalLower, 1 - Double(index + 1) / 18 * 0.8, accuracy: 1e-12) }
        }
    }

    /// Nodes, parameters and their first values stay; only the gates are new.
    func testGatesAreAllThatChanges() throws {
        for (name, options, kinds, gated) in [
            ("pyramidnet", "depth=20,alpha=12,gate_init=whole", ["joint", "separate"], 9),
            ("resnet", "depth=20", ["joint"], 9), ("resnet", "depth=20,order=pre", ["joint"], 9),
            ("resnext", "depth=29,groups=2,width=4", ["joint"], 9), ("dmrnet", "depth=14", ["joint"], 12),
            ("inception", "depth=14,branches=3", ["joint"], 18),
        ] {
            let plain = try Architectures.make(name, options: Attributes(text: options))
            for kind in kinds {
                let network = try Architectures.make(
                    name, options: Attributes(text: options + ",stochastic_depth=\(kind)"))
                let own = network.nodes.filter { !($0.op is StochasticGate) }
                XCTAssertEqual(own.map(\.name), plain.nodes.map(\.name), name)
                XCTAssertEqual(network.nodes.count - own.count, gated, name)
                XCTAssertEqual(network.parameterNames, plain.parameterNames, name)
                for parameter in plain.parameterNames {
                    XCTAssertEqual(
                        network.parameters[parameter]?.tensor.values, plain.parameters[parameter]?.tensor.values,
                        "\(name): \(parameter)")
                }
                XCTAssertEqual(network.metadata["renga.options"]?.contains("stochastic_depth=\(kind)"), true)
            }
        }
    }

    func testBranchesOfABlockAreAGroupWhereTheyAreCorrelated() throws {
        let alone = gates(try describe("dmrnet", "depth=14,branches=3,stochastic_depth=joint"))
        XCTAssertTrue(alone.allSatisfy { $0.group == 0 })
        let grouped = gates(try describe("dmrnet", "depth=14,branches=3,stochastic_depth=joint,gate_correlation=0.5"))
        XCTAssertEqual(grouped.map(\.group), (1...6).flatMap { [$0, $0, $0] })
        XCTAssertEqual(Set(grouped.map(\.survival)).count, 6)
        let even = gates(try describe("resnet", "depth=8,stochastic_depth=joint,survival=0.8,survival_decay=none"))
        XCTAssertEqual(even.map(\.survival), [0.8, 0.8, 0.8])
    }

    /// A block that changes its channels and has no shortcut has nothing to fall back on.
    func testBranchesWithoutAShortcutStayOpen() throws {
        let structure = try describe("dmrnet", "stem=imagenet,depth=50,stochastic_depth=joint")
        let gated = Set(structure.nodes.filter { $0.op is StochasticGate }.map { $0.name.prefix(13) })
        XCTAssertFalse(gated.contains("stage2.block1"))
        XCTAssertTrue(gated.contains("stage2.block2"))
        XCTAssertEqual(gates(structure).count, 2 * (16 - 4))
    }

    func testHalvesOfASeparatedConvolutionBeginAsLayersOfTheirOwn() throws {
        let options = "depth=20,alpha=180,stochastic_depth=separate,gate_init="
        func deviations(_ how: String) throws -> (upper: Double, lower: Double) {
            let network = try Architectures.make("pyramidnet", options: Attributes(text: options + how))
            let weight = try XCTUnwrap(network.parameters["stage3.block3.conv2.weight"]).tensor
            XCTAssertEqual(weight.dimensions, [3, 3, 196, 196])
            var squares = (upper: 0.0, lower: 0.0)
            for (index, value) in weight.values.enumerated() {
                if index % 196 < 176 {
                    squares.upper += Double(value * value)
                } else {
                    squares.lower += Double(value * value)
                }
            }
            return (
                (squares.upper / Double(9 * 196 * 176)).squareRoot(),
                (squares.lower / Double(9 * 196 * 20)).squareRoot()
            )
        }
        let half = try deviations("half")
        XCTAssertEqual(half.upper, (2.0 / (9 * 176)).squareRoot(), accuracy: 3e-4)
        XCTAssertEqual(half.lower, (2.0 / (9 * 20)).squareRoot(), accuracy: 2e-3)
        let whole = try deviations("whole")
        XCTAssertEqual(whole.upper, (2.0 / (9 * 196)).squareRoot(), accuracy: 3e-4)
        XCTAssertEqual(whole.lower, (2.0 / (9 * 196)).squareRoot(), accuracy: 1e-3)
    }

    func testBadOptionsNameOptionBoundsAndValue() {
        for (name, option, words) in [
            ("pyramidnet", "survival=0", ["'survival'", "1e-06...1.0", "'0'"]),
            ("pyramidnet", "survival_upper=1.1", ["'survival_upper'", "1e-06...1.0", "'1.1'"]),
            ("pyramidnet", "gate_correlation=-0.5", ["'gate_correlation'", "0.0...1.0", "'-0.5'"]),
            ("pyramidnet", "gate_scope=pixel", ["'gate_scope'", "batch, sample", "'pixel'"]),
            ("resnet", "stochastic_depth=separate", ["'stochastic_depth'", "none, joint", "'separate'"]),
            ("dmrnet", "gate_closed=no", ["'gate_closed'", "run, skip", "'no'"]),
        ] {
            XCTAssertThrowsError(try Architectures.make(name, options: Attributes(text: option)), option) { error in
                let message = (error as? RengaError)?.message ?? ""
                for word in [name] + words { XCTAssertTrue(message.contains(word), "\(word) in: \(message)") }
            }
        }
    }
}
