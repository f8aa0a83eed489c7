// HalfConvolutionTests: convolutions of bf16 maps: every algorithm, pass and instruction set against the reference twin,
// which sums the rounded inputs in double.
// Not here: f32 (ConvolutionTests), the other operators on bf16 (HalfOperatorTests).
import CRengaKernels
import XCTest

final class HalfConvolutionTests: XCTestCase {
    private static func half(_ shape: rk_conv_shape, seed: Int = 1, epilogue: Epilogue = Epilogue()) -> ConvolutionCase
    {
        var test = ConvolutionCase(shape, seed: seed, epilogue: epilogue)
        test.type = RK_BF16
        return test
    }

    /// Sizes that step through the tails of tiles of 16 and of sums of 32, and the layers that networks have.
    private static let shapes: [rk_conv_shape] = [
        rk_conv_shape(n: 3, h: 9, w: 13, c: 17, k: 35, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 8, w: 8, c: 64, k: 48, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 9, w: 32, c: 16, k: 16, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 1, h: 7, w: 27, c: 16, k: 16, r: 3, s: 3, pads: (0, 2, 1, 1)),
        rk_conv_shape(n: 2, h: 16, w: 16, c: 16, k: 32, r: 3, s: 3, stride: (2, 2), pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 11, w: 7, c: 5, k: 33, r: 5, s: 3, stride: (2, 2), pads: (2, 1, 2, 1)),
        rk_conv_shape(n: 1, h: 23, w: 23, c: 3, k: 64, r: 7, s: 7, stride: (2, 2), pads: (3, 3, 3, 3)),
        rk_conv_shape(n: 2, h: 7, w: 7, c: 96, k: 40, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 3, h: 6, w: 37, c: 32, k: 20, r: 3, s: 2, pads: (1, 1, 1, 0), dilation: (1, 2)),
        rk_conv_shape(n: 2, h: 14, w: 14, c: 33, k: 65, r: 3, s: 3, pads: (2, 2, 2, 2), dilation: (2, 2)),
        rk_conv_shape(n: 5, h: 4, w: 4, c: 33, k: 70, r: 1, s: 1),
        rk_conv_shape(n: 2, h: 9, w: 9, c: 40, k: 24, r: 1, s: 1, stride: (2, 2)),
        rk_conv_shape(n: 1, h: 1, w: 1, c: 300, k: 500, r: 1, s: 1),
        rk_conv_shape(n: 19, h: 1, w: 1, c: 64, k: 10, r: 1, s: 1),
        rk_conv_shape(n: 2, h: 9, w: 9, c: 21, k: 21, r: 3, s: 3, pads: (1, 1, 1, 1), groups: 21),
        rk_conv_shape(n: 2, h: 6, w: 6, c: 12, k: 18, r: 3, s: 3, stride: (2, 1), pads: (1, 1, 0, 1), groups: 3),
        rk_conv_shape(n: 1, h: 3, w: 41, c: 20, k: 19, r: 1, s: 3, pads: (0, 1, 0, 1)),
    ].compactMap { $0 }

    func testEveryAlgorithmMatchesTheTwin() {
        for shape in Self.shapes {
            let test = Self.half(shape, epilogue: Epilogue(bias: true))
            XCTAssertGreaterThanOrEqual(assertAllAgree(test, sets: halfSets), 3 * halfSets.count)
        }
    }

    func testOddSizes() {
        var random = TestRandom(7)
        for i in 0..<20 {
            guard
                let shape = rk_conv_shape(
                    n: 1 + random.index(3), h: 1 + random.index(19), w: 1 + random.index(35), c: 1 + random.index(67),
                    k: 1 + random.index(67), r: 1 + random.index(4), s: 1 + random.index(4),
                    stride: (1 + random.index(3), 1 + random.index(3)),
                    pads: (random.index(3), random.index(3), random.index(3), random.index(3)),
                    dilation: (1 + random.index(2), 1 + random.index(2)))
            else { continue }
            assertAllAgree(Self.half(shape, seed: i, epilogue: Epilogue(bias: i % 2 == 0)), sets: halfSets.suffix(3))
        }
    }

    func testEpilogues() {
        let epilogues = [
            Epilogue(bias: true, add: true, activation: RK_ACTIVATION_RELU),
            Epilogue(add: true, activation: RK_ACTIVATION_PRELU),
            Epilogue(bias: true, activation: RK_ACTIVATION_CLIP),
            Epilogue(bias: true, add: true, activation: RK_ACTIVATION_HARD_SWISH),
            Epilogue(addInPlace: true, activation: RK_ACTIVATION_RELU),
        ]
        for shape in Self.shapes.prefix(9) {
            for epilogue in epilogues {
                assertAllAgree(
                    Self.half(shape, epilogue: epilogue), passes: [RK_CONV_FORWARD, RK_CONV_BACKWARD_DATA],
                    sets: halfSets.suffix(3))
            }
        }
    }

    func testAnyTeamGivesTheSameBits() {
        for shape in Self.shapes {
            let test = Self.half(shape, epilogue: Epilogue(bias: true))
            for isa in halfSets.suffix(3) {
                for algorithm in fastAlgorithms {
                    for pass in convolutionPasses {
                        guard let alone = test.result(pass, algorithm, isa, threads: 3, team: 1) else { continue }
                        let label = "\(shape.label), pass \(pass.rawValue), \(isa.label)"
                        for team: Int32 in [2, 3, 5] {
                            assertSameBits(
                                test.result(pass, algorithm, isa, threads: 3, team: team) ?? [], alone, label)
                        }
                    }
                }
            }
        }
    }

    /// A large mean, whose products cancel only as far as the weights do.
    func testLargeMean() {
        for shape in Self.shapes.prefix(9) {
            var test = Self.half(shape)
            test.src = test.src.map { 1000 + $0 }
            test.weight = test.weight.map { 0.5 + abs($0) }
            assertAllAgree(test, sets: halfSets.suffix(3))
        }
    }

    /// The pooled result is, bit for bit, the largest of each 2x2 pixels of the whole one; a NaN wins, an odd edge is dropped.
    func testPooling() throws {
        let large = try XCTUnwrap(rk_conv_shape(h: 61, w: 131, c: 96, k: 34, r: 3, s: 3, pads: (1, 1, 1, 1)))
        var pooled = 0
        for shape in Self.shapes + [large] where shape.oh > 1 && shape.ow > 1 {
            var test = Self.half(
                shape, epilogue: Epilogue(bias: true, add: true, activation: RK_ACTIVATION_PRELU))
            test.src[test.src.count / 2] = .nan
            for isa in halfSets {
                guard shape.plan(RK_CONV_FORWARD, RK_CONV_BF16, isa, type: RK_BF16)?.pools == 1 else { continue }
                test.epilogue.pool = false
                let whole = try XCTUnwrap(test.result(RK_CONV_FORWARD, RK_CONV_BF16, isa))
                test.epilogue.pool = true
                let found = try XCTUnwrap(test.result(RK_CONV_FORWARD, RK_CONV_BF16, isa)).map { $0.isNaN ? .nan : $0 }
                assertSameBits(found, largest(whole, shape), "\(shape.label), \(isa.label)")
                pooled += 1
            }
        }
        if halfSets.contains(RK_ISA_AMX) { XCTAssertGreaterThanOrEqual(pooled, 4, "nothing pools") }
    }

    /// Zeros stay zeros; denormal numbers, which products of bf16 may take for zeros, stay as small.
    func testZerosAndDenormals() {
        for shape in Self.shapes.prefix(3) {
            var test = Self.half(shape)
            test.src = test.src.map { $0 * 1e-38 }
            test.ddst = test.ddst.map { $0 * 1e-38 }
            for pass in convolutionPasses {
                for isa in halfSets {
                    for algorithm in fastAlgorithms {
                        let found = test.result(pass, algorithm, isa) ?? [0]
                        XCTAssertLessThan(found.map(abs).max() ?? .infinity, 1e-34, "\(shape.label), \(isa.label)")
                    }
                }
            }
            test.src = test.src.map { _ in 0 }
            assertAllAgree(test, passes: [RK_CONV_FORWARD], sets: halfSets)
        }
    }

    /// NaN and infinity are where the twin has them, and nowhere else: zeros that fill up a tile, or stand for padding,
    /// are multiplied with none of them. Winograd's transforms mix a tile's pixels: there they are at least not lost.
    private func assertStrictlyPlaced(_ test: ConvolutionCase, _ pass: rk_conv_pass) {
        let expected = test.result(pass, RK_CONV_REFERENCE, RK_ISA_REFERENCE) ?? []
        for isa in halfSets {
            for algorithm in fastAlgorithms {
                guard let found = test.result(pass, algorithm, isa) else { continue }
                let mixes = algorithm == RK_CONV_WINOGRAD_F2 || algorithm == RK_CONV_WINOGRAD_F4
                let wrong = zip(found, expected).filter { found, expected in
                    mixes
                        ? found.isFinite && !expected.isFinite
                        : found.isNaN != expected.isNaN || found != expected && (found - expected).isInfinite
                }
                let name = String(cString: rk_conv_algorithm_name(algorithm))
                XCTAssertTrue(
                    wrong.isEmpty,
                    "\(name), \(isa.label), pass \(pass.rawValue), \(test.shape.label): \(wrong.count) strayed")
            }
        }
    }

    func testNaNAndInfinityStayInTheirPlaces() {
        var random = TestRandom(23)
        var shapes = Self.shapes
        while shapes.count < 50 {
            let groups = random.index(4) == 0 ? 2 : 1
            let pads = (random.index(3), random.index(3), random.index(3), random.index(3))
            let most = random.index(4) == 0 ? 1 : 4  // 1: pixels are the rows of a matrix, which no band copies
            if random.index(6) == 0,
                let pairs = rk_conv_shape(
                    h: 2 + random.index(7), w: 16 + random.index(17), c: 16, k: 16, r: 3, s: 3, pads: pads)
            {
                shapes.append(pairs)
            }
            guard
                let shape = rk_conv_shape(
                    n: 1 + random.index(2), h: 1 + random.index(8), w: 1 + random.index(20),
                    c: groups * (1 + random.index(40)), k: groups * (1 + random.index(40)),
                    r: 1 + random.index(most), s: 1 + random.index(most),
                    stride: (1 + random.index(min(most, 3)), 1 + random.index(min(most, 3))),
                    pads: most == 1 ? (0, 0, 0, 0) : pads,
                    dilation: (1 + random.index(2), 1 + random.index(2)), groups: groups)
            else { continue }
            shapes.append(shape)
        }
        for (i, shape) in shapes.enumerated() {
            var test = Self.half(shape, seed: i, epilogue: Epilogue(bias: i % 2 == 0))
            let values: [Float] = i % 3 == 0 ? [.nan] : i % 3 == 1 ? [.infinity] : [.nan, -.infinity, .infinity]
            for value in values {
                test.src[random.index(test.src.count)] = value
                test.ddst[random.index(test.ddst.count)] = value
            }
            for pass in convolutionPasses { assertStrictlyPlaced(test, pass) }
        }
    }

    /// What is finite keeps its bits when a NaN lies beside it.
    func testNeighboursOfNaNKeepTheirBits() {
        for shape in Self.shapes {
            var test = Self.half(shape)
            for isa in halfSets.suffix(2) {
                for pass in [RK_CONV_FORWARD, RK_CONV_BACKWARD_DATA] {
                    guard let plain = Self.half(shape).result(pass, RK_CONV_BF16, isa) else { continue }
                    test.src[0] = .nan
                    test.ddst[0] = .nan
                    let found = (test.result(pass, RK_CONV_BF16, isa) ?? []).enumerated()
                    assertSameBits(
                        found.map { $1.isNaN ? plain[$0] : $1 }, plain, "\(shape.label), \(isa.label)")
                }
            }
        }
    }

    /// A stride beyond the map leaves phases of backward-data without pixels.
    func testStridesBeyondTheMap() throws {
        for (stride, k) in [((1, 3), 5), ((3, 3), 40), ((2, 4), 33)] {
            let shape = try XCTUnwrap(
                rk_conv_shape(n: 2, h: 2, w: 1, c: 7, k: k, r: 3, s: 3, stride: stride, pads: (1, 1, 2, 2)))
            assertAllAgree(Self.half(shape), sets: halfSets)
        }
    }
}
