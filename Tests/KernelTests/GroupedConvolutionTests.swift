// GroupedConvolutionTests: convolution of as many channels as outputs in each group: every size of group against the twin,
// against the same groups one by one, and what a NaN of one group does to the others.
// Not here: groups of different sizes (ConvolutionTests), epilogues and teams (ConvolutionConditionTests).
import CRengaKernels
import XCTest

final class GroupedConvolutionTests: XCTestCase {
    /// Groups of this many channels: powers of two, which share vectors or fill them, and others, which do not.
    private static let sizes = [2, 3, 4, 5, 6, 8, 12, 16, 32, 64]

    /// Groups that fill vectors and leave parts of them, maps around the widths of tiles.
    private func shapes(_ size: Int) -> [rk_conv_shape] {
        var random = TestRandom(size)
        let (few, many) = size > 8 ? (1, 3) : (4, 8)
        let sweep = (0..<many).map { _ in
            rk_conv_shape(
                n: 1 + random.index(2), h: 1 + random.index(11), w: 1 + random.index(19),
                c: size * (2 + random.index(few)), k: 0, r: 1 + random.index(4), s: 1 + random.index(5),
                stride: (1 + random.index(3), 1 + random.index(3)),
                pads: (random.index(3), random.index(3), random.index(3), random.index(3)),
                dilation: (1 + random.index(2), 1 + random.index(2)))
        }
        let square = (0..<many).map { i in
            rk_conv_shape(
                n: 2, h: 2 + random.index(12), w: 1 + random.index(33), c: size * (2 + random.index(few)), k: 0, r: 3,
                s: 3, stride: i % 4 == 3 ? (2, 2) : (1, 1), pads: (1, 1, 1, 1))
        }
        return (sweep + square).compactMap { $0 }.map { shape in
            var shape = shape
            (shape.k, shape.groups) = (shape.c, shape.c / Int64(size))
            return shape
        }
    }

    func testEverySizeOfGroup() {
        for size in Self.sizes {
            for (i, shape) in shapes(size).enumerated() {
                assertAllAgree(ConvolutionCase(shape, seed: i, epilogue: Epilogue(bias: i % 2 == 0)))
            }
        }
    }

    /// Which groups the algorithm takes: those that fill a part of a vector; others are refused.
    func testPowersOfTwoApply() throws {
        for isa in fastSets {
            for size in Self.sizes {
                let shape = try XCTUnwrap(
                    rk_conv_shape(h: 9, w: 9, c: 4 * size, k: 4 * size, r: 3, s: 3, stride: (2, 2), groups: 4))
                let lanes = isa.rawValue >= RK_ISA_AVX512.rawValue ? 16 : isa == RK_ISA_AVX2 ? 8 : 1
                for pass in convolutionPasses {
                    let applies = shape.plan(pass, RK_CONV_GROUPED, isa) != nil
                    XCTAssertEqual(applies, size < lanes && lanes % size == 0, "\(isa.label), \(size)")
                }
            }
            var uneven = try XCTUnwrap(rk_conv_shape(h: 9, w: 9, c: 8, k: 16, r: 3, s: 3, groups: 4))
            XCTAssertNil(uneven.plan(RK_CONV_FORWARD, RK_CONV_GROUPED, isa))
            (uneven.c, uneven.groups) = (16, 1)
            XCTAssertNil(uneven.plan(RK_CONV_FORWARD, RK_CONV_GROUPED, isa))
        }
    }

    /// Several bands of rows, of maps beyond the caches.
    func testBandsOfLargeMaps() throws {
        for (size, stride) in [(2, 1), (4, 2), (8, 1), (16, 1)] {
            let shape = try XCTUnwrap(
                rk_conv_shape(
                    n: 1, h: 51, w: 67, c: 112, k: 112, r: 3, s: 3, stride: (stride, stride), pads: (1, 1, 1, 1),
                    groups: 112 / size))
            assertAllAgree(
                ConvolutionCase(shape, epilogue: Epilogue(activation: RK_ACTIVATION_RELU)), sets: fastSets.suffix(1))
        }
    }

    /// Results that are stored past the caches, to aligned memory: more than 3 MB.
    func testResultsBeyondTheCaches() throws {
        let shape = try XCTUnwrap(
            rk_conv_shape(h: 163, w: 161, c: 32, k: 32, r: 3, s: 3, pads: (1, 1, 1, 1), groups: 8))
        var test = ConvolutionCase(shape, epilogue: Epilogue(bias: true))
        test.misaligned = false
        assertAllAgree(test, passes: [RK_CONV_FORWARD], sets: fastSets.suffix(1))
    }

    /// The channels of one group, as a dense convolution of its own, give that group's outputs.
    func testGroupsAreDenseConvolutionsOfSlices() throws {
        for size in [2, 4, 8, 16] {
            let groups = 3
            let whole = try XCTUnwrap(
                rk_conv_shape(
                    n: 2, h: 8, w: 9, c: size * groups, k: size * groups, r: 3, s: 3, pads: (1, 1, 1, 1), groups: groups
                ))
            let slice = try XCTUnwrap(rk_conv_shape(n: 2, h: 8, w: 9, c: size, k: size, r: 3, s: 3, pads: (1, 1, 1, 1)))
            let grouped = ConvolutionCase(whole)
            for isa in fastSets {
                for pass in convolutionPasses {
                    guard let found = grouped.result(pass, RK_CONV_GROUPED, isa) else { continue }
                    for group in 0..<groups {
                        var dense = ConvolutionCase(slice)
                        func part(_ values: [Float]) -> [Float] {
                            values.enumerated().filter { $0.offset % (size * groups) / size == group }.map(\.element)
                        }
                        (dense.src, dense.weight, dense.ddst) =
                            (part(grouped.src), part(grouped.weight), part(grouped.ddst))
                        let expected = try XCTUnwrap(dense.result(pass, RK_CONV_DIRECT, isa))
                        XCTAssertLessThan(
                            worstOfRMS(part(found), expected), 1e-5, "\(isa.label), \(size), pass \(pass.rawValue)")
                    }
                }
            }
        }
    }

    /// A NaN, in a corner as in the middle, reaches exactly what its taps see, also in the weights' gradient.
    func testANaNStaysInItsGroupAndPlace() throws {
        for size in [2, 4, 8, 16] {
            let shape = try XCTUnwrap(
                rk_conv_shape(
                    n: 1, h: 6, w: 10, c: size * 5, k: size * 5, r: 3, s: 3, pads: (1, 1, 1, 1), groups: 5))
            for place in [0, 27, 9, 59] {
                for inSource in [true, false] {
                    var test = ConvolutionCase(shape)
                    let index = place * size * 5 + size + 1
                    if inSource { test.src[index] = .nan } else { test.ddst[index] = .nan }
                    for pass in convolutionPasses {
                        let expected = (test.result(pass, RK_CONV_REFERENCE, RK_ISA_REFERENCE) ?? []).map(\.isNaN)
                        for isa in fastSets {
                            guard let found = test.result(pass, RK_CONV_GROUPED, isa) else { continue }
                            XCTAssertEqual(found.map(\.isNaN), expected, "\(isa.label), \(size), \(pass.rawValue)")
                        }
                    }
                }
            }
        }
    }
}
