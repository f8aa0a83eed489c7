// InitializationTests: the laws of first values, and that each parameter has a stream of its own.
import RengaNetwork
import TestSupport
import XCTest

final class InitializationTests: XCTestCase {
    private func network(_ rule: Initialization, seed: UInt64 = 3, extra: Bool = false) throws -> Network {
        var builder = NetworkBuilder()
        var value = try builder.addInput(h: 4, w: 4, c: 16)
        if extra { value = try builder.add(Convolution(channels: 16, window: Window(kernel: 1)), name: "extra", value) }
        value = try builder.add(Convolution(channels: 64, window: Window(kernel: 3), groups: 2), name: "conv", value)
        value = try builder.add(BatchNorm(), name: "bn", value)
        value = try builder.add(PReLU(), name: "prelu", value)
        value = try builder.add(Flatten(), value)
        value = try builder.add(Linear(channels: 30), name: "fc", value)
        return try builder.build(outputs: [value], initialization: rule, seed: seed)
    }

    private func values(_ network: Network, _ name: String) throws -> [Float] {
        try XCTUnwrap(network.parameters[name]).tensor.values
    }

    private func variance(_ values: [Float]) -> Double {
        let mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
        return values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(values.count)
    }

    func testVariances() throws {
        // conv: weight [3,3,8,64], fan-in 72, fan-out 576; fc: weight [256,30], fan-in 256, fan-out 30.
        let laws: [(Initialization, conv: Double, fc: Double)] = [
            (.heFanIn, 2.0 / 72, 2.0 / 256), (.heFanOut, 2.0 / 576, 2.0 / 30),
            (.uniform, 1.0 / (3 * 72), 1.0 / (3 * 256)),
            (Initialization(convolution: .uniform(limit: 0.3), linear: .normal(deviation: 0.2)), 0.03, 0.04),
        ]
        for (rule, conv, fc) in laws {
            let network = try network(rule)
            // 4608 and 7680 draws: four standard errors of a normal's variance are below 9 %.
            assertClose(variance(try values(network, "conv.weight")) / conv, 1, tolerance: 0.09)
            assertClose(variance(try values(network, "fc.weight")) / fc, 1, tolerance: 0.09)
            let sum = try values(network, "conv.weight").reduce(0) { $0 + Double($1) }
            assertClose(sum / 4608 / conv.squareRoot(), 0, tolerance: 0.06)
        }
    }

    func testConstants() throws {
        let network = try network(.heFanIn)
        XCTAssertEqual(Set(try values(network, "bn.gamma")), [1])
        XCTAssertEqual(Set(try values(network, "bn.beta")), [0])
        XCTAssertEqual(Set(try values(network, "bn.running_mean")), [0])
        XCTAssertEqual(Set(try values(network, "bn.running_variance")), [1])
        XCTAssertEqual(Set(try values(network, "prelu.slope")), [0.25])
        XCTAssertEqual(Set(try values(network, "conv.bias")), [0])
        let uniform = try values(self.network(.uniform), "conv.bias")
        XCTAssertTrue(uniform.allSatisfy { $0.magnitude <= 1 / Float(72).squareRoot() })
        XCTAssertGreaterThan(Set(uniform).count, 60)
        var rule = Initialization.heFanIn
        rule.overrides = ["bn.gamma": .constant(0)]
        XCTAssertEqual(Set(try values(self.network(rule), "bn.gamma")), [0])
    }

    /// [72,64]: columns are orthonormal; [256,30] with gain 1 likewise; a wide one has orthonormal rows.
    func testOrthogonality() throws {
        let network = try network(.orthogonal)
        let gain = 2.0.squareRoot()
        try assertOrthonormal(values(network, "conv.weight"), rows: 72, columns: 64, gain: gain)
        try assertOrthonormal(values(network, "fc.weight"), rows: 256, columns: 30, gain: 1)
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 1, w: 1, c: 5)
        let value = try builder.add(Linear(channels: 13), name: "wide", input)
        let wide = try builder.build(outputs: [value], initialization: .orthogonal)
        try assertOrthonormal(values(wide, "wide.weight"), rows: 5, columns: 13, gain: 1)
    }

    private func assertOrthonormal(_ values: [Float], rows: Int, columns: Int, gain: Double) {
        let byColumn = columns <= rows
        let count = min(rows, columns)
        func element(_ vector: Int, _ index: Int) -> Double {
            Double(byColumn ? values[index * columns + vector] : values[vector * columns + index])
        }
        for a in 0..<count {
            for b in 0...a {
                let product = (0..<max(rows, columns)).reduce(0) { $0 + element(a, $1) * element(b, $1) }
                assertClose(product, a == b ? gain * gain : 0, tolerance: 2e-6, "[\(a),\(b)]")
            }
        }
    }

    func testEachParameterHasAStreamOfItsOwn() throws {
        let plain = try network(.heFanIn)
        XCTAssertEqual(try values(network(.heFanIn, extra: true), "fc.weight"), try values(plain, "fc.weight"))
        XCTAssertEqual(try values(network(.heFanIn), "conv.weight"), try values(plain, "conv.weight"))
        XCTAssertNotEqual(try values(network(.heFanIn, seed: 4), "conv.weight"), try values(plain, "conv.weight"))
        XCTAssertNotEqual(
            Array(try values(plain, "conv.weight").prefix(8)), Array(try values(plain, "fc.weight").prefix(8)))
    }

    /// The same bits on every machine and in every version: changing them changes every seeded result. Worked out in Python from the definition.
    func testFirstValuesAreFixedForEver() throws {
        let weights = try values(network(.uniform, seed: 42), "fc.weight").prefix(3)
        let normals = try values(network(.heFanIn, seed: 42), "fc.weight").prefix(3)
        XCTAssertEqual(weights.map(\.bitPattern), [1_029_972_658, 3_162_076_872, 1_001_945_916])
        XCTAssertEqual(normals.map(\.bitPattern), [1_041_309_598, 3_168_838_195, 1_008_981_851])
    }

    func testNames() throws {
        for (name, rule) in Initialization.named { XCTAssertEqual(try Initialization(named: name), rule) }
        assertFails(.notFound, "'xavier'", "he_fan_in, he_fan_out, orthogonal, uniform") {
            try Initialization(named: "xavier")
        }
    }
}
