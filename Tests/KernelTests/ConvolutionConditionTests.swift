// ConvolutionConditionTests: what must hold beside the sums: the same bits for any team, the epilogues, hostile
// numbers.
// Not here: sizes (ConvolutionTests).
import CRengaKernels
import XCTest

final class ConvolutionConditionTests: XCTestCase {
    private let shapes: [rk_conv_shape] = [
        rk_conv_shape(n: 3, h: 9, w: 13, c: 17, k: 35, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 8, w: 8, c: 64, k: 48, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 6, w: 7, c: 140, k: 130, r: 3, s: 3, pads: (1, 1, 1, 1)),  // weights beyond L2
        rk_conv_shape(n: 2, h: 11, w: 7, c: 5, k: 33, r: 5, s: 3, stride: (2, 2), pads: (2, 1, 2, 1)),
        rk_conv_shape(n: 5, h: 4, w: 4, c: 33, k: 70, r: 1, s: 1),
        rk_conv_shape(n: 1, h: 1, w: 1, c: 300, k: 500, r: 1, s: 1),
        rk_conv_shape(n: 2, h: 9, w: 9, c: 21, k: 21, r: 3, s: 3, pads: (1, 1, 1, 1), groups: 21),
        rk_conv_shape(n: 2, h: 6, w: 6, c: 12, k: 18, r: 3, s: 3, stride: (2, 1), pads: (1, 1, 0, 1), groups: 3),
        rk_conv_shape(n: 3, h: 9, w: 11, c: 24, k: 24, r: 3, s: 3, pads: (1, 1, 1, 1), groups: 6),
    ].compactMap { $0 }

    func testAnyTeamGivesTheSameBits() {
        for shape in shapes {
            let test = ConvolutionCase(shape, epilogue: Epilogue(bias: true))
            for isa in supportedSets {
                for algorithm in fastAlgorithms + [RK_CONV_REFERENCE] {
                    for pass in convolutionPasses {
                        guard let alone = test.result(pass, algorithm, isa, threads: 5, team: 1) else { continue }
                        for team in teamSizes.dropFirst() {
                            let found = test.result(pass, algorithm, isa, threads: 5, team: team) ?? []
                            assertSameBits(
                                found, alone, "\(shape.label), pass \(pass.rawValue), \(isa.label), team of \(team)")
                        }
                        // A plan for fewer threads than the team, as where OpenMP gives more than one region's share.
                        assertSameBits(
                            test.result(pass, algorithm, isa, threads: 1, team: 3) ?? [], alone,
                            "planned for 1, run by 3")
                    }
                }
            }
        }
    }

    func testEpilogues() {
        let epilogues = [
            Epilogue(bias: true, add: true, activation: RK_ACTIVATION_RELU),
            Epilogue(add: true, activation: RK_ACTIVATION_PRELU),
            Epilogue(bias: true, activation: RK_ACTIVATION_PRELU),
            Epilogue(bias: true, activation: RK_ACTIVATION_CLIP),
            Epilogue(bias: true, add: true, activation: RK_ACTIVATION_HARD_SWISH),
            Epilogue(addInPlace: true, activation: RK_ACTIVATION_RELU),
            Epilogue(bias: true, addInPlace: true),
        ]
        let long = rk_conv_shape(n: 3, h: 1, w: 1, c: 2100, k: 19, r: 1, s: 1)
        for shape in shapes + [long].compactMap({ $0 }) {
            for epilogue in epilogues {
                assertAllAgree(
                    ConvolutionCase(shape, epilogue: epilogue), passes: [RK_CONV_FORWARD, RK_CONV_BACKWARD_DATA])
            }
        }
    }

    /// The pooled result is, bit for bit, the largest of each 2x2 pixels of the whole one; a NaN wins, an odd edge is dropped.
    func testPooling() throws {
        let large = try XCTUnwrap(rk_conv_shape(h: 150, w: 149, c: 2, k: 160, r: 3, s: 3, pads: (1, 1, 1, 1)))
        var pooled = 0
        for shape in shapes.filter({ $0.oh > 1 && $0.ow > 1 }) + [large] {
            var test = ConvolutionCase(
                shape, epilogue: Epilogue(bias: true, add: true, activation: RK_ACTIVATION_PRELU))
            test.misaligned = shape.k != large.k  // aligned and large: stored past the caches
            test.src[test.src.count / 2] = .nan
            for isa in shape.k == large.k ? fastSets.suffix(1) : fastSets {
                for algorithm in fastAlgorithms where shape.plan(RK_CONV_FORWARD, algorithm, isa)?.pools == 1 {
                    test.epilogue.pool = false
                    let whole = try XCTUnwrap(test.result(RK_CONV_FORWARD, algorithm, isa))
                    test.epilogue.pool = true
                    let found = try XCTUnwrap(test.result(RK_CONV_FORWARD, algorithm, isa))
                    assertSameBits(
                        found.map { $0.isNaN ? .nan : $0 }, largest(whole, shape), "\(shape.label), \(isa.label)")
                    pooled += 1
                }
            }
        }
        XCTAssertGreaterThanOrEqual(pooled, 2 * fastSets.count, "no algorithm pools")
    }

    /// Results that are stored past the caches, to aligned memory: more than 3 MB.
    func testResultsBeyondTheCaches() throws {
        let shape = try XCTUnwrap(rk_conv_shape(h: 243, w: 245, c: 2, k: 16, r: 3, s: 3, pads: (1, 1, 1, 1)))
        var test = ConvolutionCase(shape, epilogue: Epilogue(bias: true, add: true, activation: RK_ACTIVATION_RELU))
        test.misaligned = false
        assertAllAgree(test, passes: [RK_CONV_FORWARD], sets: fastSets.suffix(1))
    }

    /// A map of one large value: sums cancel only as far as the weights do, so the error is relative to the large
    /// products.
    func testLargeMean() {
        for shape in shapes {
            var test = ConvolutionCase(shape)
            test.src = test.src.map { 1000 + $0 }
            test.weight = test.weight.map { 0.5 + abs($0) }
            assertAllAgree(test)
        }
    }

    func testZerosAndDenormals() {
        for shape in shapes {
            var test = ConvolutionCase(shape)
            test.src = test.src.map { $0 * 1e-20 }
            test.weight = test.weight.map { $0 * 1e-19 }
            test.ddst = test.ddst.map { $0 * 1e-20 }
            for pass in convolutionPasses {
                let expected = test.result(pass, RK_CONV_REFERENCE, RK_ISA_REFERENCE) ?? []
                for isa in fastSets {
                    for algorithm in fastAlgorithms {
                        guard let found = test.result(pass, algorithm, isa) else { continue }
                        let worst = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
                        XCTAssertLessThan(worst, 1e-36, "\(shape.label), pass \(pass.rawValue), \(isa.label)")
                    }
                }
            }
            test.src = test.src.map { _ in 0 }
            assertAllAgree(test)
        }
    }

    /// A NaN in the source reaches exactly the outputs whose taps see it (Winograd: at least these, through ReLU and
    /// PReLU too).
    func testNaNPropagates() {
        for shape in shapes {
            var test = ConvolutionCase(shape, epilogue: Epilogue(activation: RK_ACTIVATION_RELU))
            test.src[test.src.count / 2] = .nan
            test.ddst[test.ddst.count / 3] = .nan
            for activation in [
                RK_ACTIVATION_RELU, RK_ACTIVATION_PRELU, RK_ACTIVATION_CLIP, RK_ACTIVATION_HARD_SWISH,
                RK_ACTIVATION_NONE,
            ] {
                test.epilogue.activation = activation
                for pass in [RK_CONV_FORWARD, RK_CONV_BACKWARD_DATA] {
                    let expected = (test.result(pass, RK_CONV_REFERENCE, RK_ISA_REFERENCE) ?? []).map(\.isNaN)
                    XCTAssertTrue(expected.contains(true))
                    for isa in fastSets {
                        for algorithm in fastAlgorithms {
                            guard let found = test.result(pass, algorithm, isa)?.map(\.isNaN) else { continue }
                            let missing = zip(found, expected).contains { !$0 && $1 }
                            XCTAssertFalse(missing, "\(shape.label), \(isa.label): a NaN was lost")
                            if [RK_CONV_DIRECT, RK_CONV_DEPTHWISE, RK_CONV_GROUPED].contains(algorithm) {
                                XCTAssertEqual(found, expected)
                            }
                        }
                    }
                }
            }
        }
    }
}
