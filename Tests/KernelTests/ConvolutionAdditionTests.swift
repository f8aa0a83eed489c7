// ConvolutionAdditionTests: maps of fewer channels, and means of two maps, that a convolution adds: to the bit what one whole map gives.
// Not here: sums with one whole map (ConvolutionConditionTests).
import CRengaKernels
import XCTest

final class ConvolutionAdditionTests: XCTestCase {
    private let shapes: [rk_conv_shape] = [
        rk_conv_shape(n: 3, h: 9, w: 13, c: 17, k: 35, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 8, w: 8, c: 64, k: 48, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 16, w: 9, c: 32, k: 33, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 7, w: 5, c: 16, k: 16, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 11, w: 7, c: 5, k: 67, r: 5, s: 3, stride: (2, 2), pads: (2, 1, 2, 1)),
        rk_conv_shape(n: 5, h: 4, w: 4, c: 33, k: 70, r: 1, s: 1),
        rk_conv_shape(n: 2, h: 6, w: 6, c: 24, k: 36, r: 3, s: 3, pads: (1, 1, 0, 1), groups: 2),
    ].compactMap { $0 }

    /// Runs `body` for every algorithm that can add in this way; returns how often.
    private func each(
        _ what: Int, _ epilogue: Epilogue, _ body: (ConvolutionCase, rk_conv_algorithm, rk_isa) throws -> Void
    ) rethrows -> Int {
        var runs = 0
        for shape in shapes {
            for type in [RK_F32, RK_BF16] {
                var test = ConvolutionCase(shape, epilogue: epilogue)
                test.type = type
                test.addToOutput[test.addToOutput.count / 2] = .nan
                for isa in supportedSets {
                    for algorithm in fastAlgorithms {
                        guard let plan = shape.plan(RK_CONV_FORWARD, algorithm, isa, type: type),
                            Int(plan.adds) & what != 0
                        else { continue }
                        try body(test, algorithm, isa)
                        runs += 1
                    }
                }
            }
        }
        return runs
    }

    func testFewerChannels() throws {
        let epilogue = Epilogue(bias: true, add: true, activation: RK_ACTIVATION_RELU)
        let runs = try each(Int(RK_CONV_ADDS_FEWER), epilogue) { test, algorithm, isa in
            let k = Int(test.shape.k)
            for c in [1, k / 2, k - 1] {
                var test = test
                let map = test.addToOutput
                test.epilogue.fewer = c
                let found = try XCTUnwrap(test.result(RK_CONV_FORWARD, algorithm, isa))
                test.epilogue.fewer = nil
                test.addToOutput = map.indices.map { $0 % k < c ? map[$0] : 0 }
                let expected = try XCTUnwrap(test.result(RK_CONV_FORWARD, algorithm, isa))
                assertSameBits(found, expected, "\(test.shape.label), \(isa.label), \(c) channels")
            }
        }
        XCTAssertTrue(runs > 0 || rk_isa_supported(RK_ISA_AVX512_BF16) == 0, "no algorithm adds fewer channels")
    }

    func testMeansOfTwo() throws {
        for inPlace in [false, true] {
            let epilogue = Epilogue(bias: true, add: true, addInPlace: inPlace, activation: RK_ACTIVATION_RELU)
            let runs = try each(Int(RK_CONV_ADDS_MEAN), epilogue) { test, algorithm, isa in
                var test = test
                let (map, second) = (test.addToOutput, test.second)
                test.epilogue.mean = true
                let found = try XCTUnwrap(test.result(RK_CONV_FORWARD, algorithm, isa))
                test.epilogue.secondInPlace = !inPlace
                let replaced = try XCTUnwrap(test.result(RK_CONV_FORWARD, algorithm, isa))
                (test.epilogue.mean, test.epilogue.secondInPlace) = (false, false)
                test.addToOutput = zip(map, second).map { ($0 + $1) * 0.5 }
                let expected = try XCTUnwrap(test.result(RK_CONV_FORWARD, algorithm, isa))
                assertSameBits(found, expected, "\(test.shape.label), \(isa.label)")
                assertSameBits(replaced, expected, "\(test.shape.label), \(isa.label), over the second map")
            }
            XCTAssertGreaterThan(runs, 0, "no algorithm adds means")
        }
    }

    /// The twin knows both, for any shape.
    func testTheTwin() throws {
        for shape in shapes {
            var test = ConvolutionCase(shape, epilogue: Epilogue(bias: true, add: true))
            let (k, map) = (Int(shape.k), test.addToOutput)
            for (fewer, mean) in [(k / 2, false), (nil, true)] as [(Int?, Bool)] {
                (test.epilogue.fewer, test.epilogue.mean, test.addToOutput) = (fewer, mean, map)
                let found = try XCTUnwrap(test.result(RK_CONV_FORWARD, RK_CONV_REFERENCE, RK_ISA_REFERENCE))
                (test.epilogue.fewer, test.epilogue.mean) = (nil, false)
                test.addToOutput = map.indices.map { i in
                    mean ? (map[i] + test.second[i]) / 2 : i % k < k / 2 ? map[i] : 0
                }
                let expected = try XCTUnwrap(test.result(RK_CONV_FORWARD, RK_CONV_REFERENCE, RK_ISA_REFERENCE))
                XCTAssertLessThan(worstOfRMS(found, expected), 1e-6, shape.label)
            }
        }
    }
}
