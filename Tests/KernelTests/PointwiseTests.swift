// PointwiseTests: functions of elements, pairs of maps and local response normalisation, in both element types, against their twins and
// by identities. Not here: steps that only move elements (MovementTests).
import CRengaKernels
import Glibc
import XCTest

final class PointwiseTests: XCTestCase {
    private static let functions: [(rk_function, Float, Float)] = [
        (RK_SIGMOID, 0, 0), (RK_TANH, 0, 0), (RK_LEAKY_RELU, 0.1, 0), (RK_CLIP, -0.5, 6), (RK_HARD_SIGMOID, 0.2, 0.5),
        (RK_HARD_SWISH, 0, 0), (RK_ELU, 1.5, 0), (RK_SOFTPLUS, 0, 0), (RK_SILU, 0, 0),
    ]
    private static let counts = [1, 3, 17, 1100]

    private func pointwise(
        _ isa: rk_isa, _ function: (rk_function, Float, Float), _ src: [Float], _ type: rk_type = RK_F32,
        threads: Int32 = 1, inPlace: Bool = false
    ) -> [Float] {
        let from = TestMap(src, type, misaligned: true)
        let to = inPlace ? from : TestMap(count: src.count, type, repeating: .nan)
        runStep(
            rk_pointwise,
            rk_pointwise_args(
                isa: isa, type: type, function: function.0, alpha: function.1, beta: function.2,
                count: Int64(src.count), src: from.readable, dst: to.pointer), threads: threads)
        assertIntact([from, to], "\(function)")
        return to.values
    }

    private func backward(
        _ isa: rk_isa, _ function: (rk_function, Float, Float), _ src: [Float], _ ddst: [Float], _ before: [Float]?,
        _ type: rk_type = RK_F32, threads: Int32 = 1
    ) -> [Float] {
        let (from, d) = (TestMap(src, type), TestMap(ddst, type))
        let to = TestMap(before ?? [Float](repeating: .nan, count: src.count), type)
        runStep(
            rk_pointwise_backward,
            rk_pointwise_backward_args(
                isa: isa, type: type, function: function.0, alpha: function.1, beta: function.2,
                count: Int64(src.count), src: from.readable, ddst: d.readable, accumulate: before == nil ? 0 : 1,
                dsrc: to.pointer), threads: threads)
        assertIntact([from, d, to], "\(function)")
        return to.values
    }

    func testFunctionsMatchTheTwin() {
        for type in elementTypes {
            let tolerance = type == RK_F32 ? 1e-6 : 1.0 / 128
            for count in Self.counts {
                var random = TestRandom(count)
                let (src, ddst) = (random.floats(count, -9, 9), random.floats(count))
                for function in Self.functions {
                    let name = "\(function.0.rawValue) of \(count), \(type)"
                    let twin = pointwise(RK_ISA_REFERENCE, function, src, type)
                    let slopes = backward(RK_ISA_REFERENCE, function, src, ddst, ddst, type)
                    forEachSetAndTeam { isa, threads, set in
                        let found = pointwise(isa, function, src, type, threads: threads)
                        assertClose(found, twin, tolerance, "\(set): \(name)")
                        if threads == 2 {
                            let same = pointwise(isa, function, src, type, threads: threads, inPlace: true)
                            assertSameBits(same, found, "\(set): \(name), in place")
                        }
                        let gradients = backward(isa, function, src, ddst, ddst, type, threads: threads)
                        assertClose(gradients, slopes, tolerance, "\(set): d \(name)")
                    }
                }
            }
        }
    }

    /// Where naive formulas overflow or lose their digits: relative errors of a few ulps everywhere.
    func testFarFromAndNearZero() {
        let src: [Float] = [
            0, 1e-30, -1e-30, 1e-6, -1e-6, 1e-3, -1e-3, 0.3, -0.3, 0.34, -0.35, 0.62, -0.63, 20, -20, 88, -86, 1e4,
            -1e4,
            3e38, -3e38, .infinity,
        ]
        for function in Self.functions {
            let twin = pointwise(RK_ISA_REFERENCE, function, src)
            for isa in fastSets {
                let found = pointwise(isa, function, src)
                for (f, e) in zip(found, twin) where f != e {
                    XCTAssertLessThan(abs(f - e), 4e-7 * max(abs(e), 1e-30) + 1e-37, "\(isa.label), \(function): \(e)")
                }
            }
        }
    }

    func testNaNStays() {
        for function in Self.functions {
            for isa in supportedSets {
                let found = pointwise(isa, function, [.nan, 1, .nan])
                XCTAssertTrue(found[0].isNaN && !found[1].isNaN && found[2].isNaN, "\(isa.label), \(function)")
            }
        }
    }

    func testIdentities() {
        var random = TestRandom(5)
        let src = random.floats(777, -8, 8)
        for isa in supportedSets {
            func apply(_ function: rk_function, _ alpha: Float = 0, _ beta: Float = 0, _ src: [Float]) -> [Float] {
                pointwise(isa, (function, alpha, beta), src)
            }
            assertSameBits(apply(RK_LEAKY_RELU, 1, 0, src), src, isa.label)
            let relu = src.map { max($0, 0) }
            XCTAssertEqual(apply(RK_LEAKY_RELU, 0, 0, src), relu)
            XCTAssertEqual(apply(RK_CLIP, 0, .greatestFiniteMagnitude, src), relu)
            XCTAssertEqual(apply(RK_CLIP, 3, 1, src), [Float](repeating: 1, count: src.count), "the upper bound wins")
            let sigmoid = apply(RK_SIGMOID, 0, 0, src)
            assertClose(zip(src, sigmoid).map { $0 * $1 }, apply(RK_SILU, 0, 0, src), 1e-6, "silu")
            assertClose(apply(RK_SIGMOID, 0, 0, src.map { -$0 }), sigmoid.map { 1 - $0 }, 1e-6, "sigmoid")
            assertClose(apply(RK_TANH, 0, 0, src), apply(RK_SIGMOID, 0, 0, src.map { 2 * $0 }).map { 2 * $0 - 1 }, 1e-6)
            let hard = apply(RK_HARD_SIGMOID, 1.0 / 6, 0.5, src)
            assertClose(zip(src, hard).map { $0 * $1 }, apply(RK_HARD_SWISH, 0, 0, src), 2e-6, "hard swish")
        }
    }

    func testGradientsOfFunctions() {
        var random = TestRandom(6)
        let (src, ddst) = (random.floats(200, -4, 4), random.floats(200))
        for function in Self.functions {
            let found = supportedSets.map { ($0.label, backward($0, function, src, ddst, nil)) }
            assertGradients(found, at: src, "\(function)") { point in
                let out = pointwise(RK_ISA_REFERENCE, function, point)
                return zip(out, ddst).reduce(0) { $0 + Double($1.0) * Double($1.1) }
            }
        }
    }

    // MARK: Pairs

    private static let pairings = [RK_MULTIPLY, RK_ADD, RK_SUBTRACT, RK_DIVIDE, RK_MAXIMUM, RK_MINIMUM]
    /// Extents of a and b (H, W, C) for two images.
    private static let pairs = [
        ([3, 5, 7], [3, 5, 7]), ([3, 5, 7], [1, 1, 7]), ([3, 5, 7], [3, 5, 1]), ([3, 5, 7], [1, 1, 1]),
        ([1, 1, 33], [4, 3, 33]), ([2, 1, 5], [1, 6, 1]), ([1, 1, 1], [1, 1, 1]), ([1, 1, 1500], [2, 1, 1500]),
        ([2, 2, 1], [1, 2, 1100]), ([60, 40, 3], [1, 1, 3]),
    ]

    private struct Pair {
        let pairing: rk_pairing
        let extents: [[Int]]
        let type: rk_type

        var shape: [Int] { (0..<3).map { max(extents[0][$0], extents[1][$0]) } }
        func count(_ extents: [Int]) -> Int { 2 * extents.reduce(1, *) }

        func arguments(_ isa: rk_isa, _ src: [TestMap], _ dst: UnsafeMutableRawPointer?) -> rk_arithmetic_args {
            func axes(_ e: [Int]) -> rk_extents { rk_extents(h: Int64(e[0]), w: Int64(e[1]), c: Int64(e[2])) }
            return rk_arithmetic_args(
                isa: isa, type: type, pairing: pairing, n: 2, h: Int64(shape[0]), w: Int64(shape[1]),
                c: Int64(shape[2]), extents: (axes(extents[0]), axes(extents[1])),
                src: (src[0].readable, src[1].readable), dst: dst)
        }

        func forward(_ isa: rk_isa, _ src: [[Float]], threads: Int32 = 1) -> [Float] {
            let (maps, dst) = (src.map { TestMap($0, type) }, TestMap(count: count(shape), type, repeating: .nan))
            runStep(rk_arithmetic, arguments(isa, maps, dst.pointer), threads: threads)
            assertIntact(maps + [dst])
            return dst.values
        }

        func backward(
            _ isa: rk_isa, _ src: [[Float]], _ ddst: [Float], which: Int, _ before: [Float]? = nil, threads: Int32 = 1
        ) -> [Float] {
            let (maps, d) = (src.map { TestMap($0, type) }, TestMap(ddst, type))
            let dsrc = TestMap(before ?? [Float](repeating: .nan, count: src[which].count), type)
            let args = rk_arithmetic_backward_args(
                forward: arguments(isa, maps, nil), which: Int32(which), accumulate: before == nil ? 0 : 1,
                ddst: d.readable, dsrc: dsrc.pointer)
            runStep(rk_arithmetic_backward, args, threads: threads)
            assertIntact(maps + [d, dsrc])
            return dsrc.values
        }
    }

    func testPairsMatchTheTwin() {
        for type in elementTypes {
            for (a, b) in Self.pairs {
                for pairing in Self.pairings {
                    let pair = Pair(pairing: pairing, extents: [a, b], type: type)
                    var random = TestRandom(a[0] + b[2])
                    // Away from 0, for quotients.
                    let src = [a, b].map { random.floats(pair.count($0), 0.5, 2) }
                    let ddst = random.floats(pair.count(pair.shape))
                    let name = "\(pairing.rawValue) of \(a), \(b), \(type)"
                    let twin = pair.forward(RK_ISA_REFERENCE, src)
                    // The twin's backward looks at every pair of elements.
                    let isSmall = ddst.count * src[0].count < 100_000
                    let slopes = [0, 1].map { isSmall ? pair.backward(RK_ISA_REFERENCE, src, ddst, which: $0) : [] }
                    let once = [0, 1].map { pair.backward(fastSets[0], src, ddst, which: $0, src[$0]) }
                    forEachSetAndTeam { isa, threads, set in
                        let found = pair.forward(isa, src, threads: threads)
                        assertClose(found, twin, type == RK_F32 ? 1e-6 : 1.0 / 128, "\(set): \(name)")
                        for which in [0, 1] where isSmall {
                            let d = pair.backward(isa, src, ddst, which: which, threads: threads)
                            assertClose(
                                d, slopes[which], type == RK_F32 ? 1e-5 : 1.0 / 128, "\(set): d\(which) \(name)")
                        }
                        guard isa == fastSets[0] else { return }
                        for which in [0, 1] {
                            let d = pair.backward(isa, src, ddst, which: which, src[which], threads: threads)
                            assertSameBits(d, once[which], "\(set): d\(which) \(name)")
                        }
                    }
                }
            }
        }
    }

    func testGradientsOfPairs() {
        for (a, b) in Self.pairs.prefix(6) {
            for pairing in Self.pairings {
                let pair = Pair(pairing: pairing, extents: [a, b], type: RK_F32)
                var random = TestRandom(31)
                let src = [a, b].map { random.floats(pair.count($0), 1, 2) }
                let ddst = random.floats(pair.count(pair.shape), 0, 1)
                for which in [0, 1] {
                    let found = supportedSets.map { ($0.label, pair.backward($0, src, ddst, which: which)) }
                    assertGradients(
                        found, at: src[which], step: 1e-3, tolerance: 2e-2, samples: 6, "\(pairing) of \(a), \(b)"
                    ) { point in
                        let out = pair.forward(RK_ISA_REFERENCE, which == 0 ? [point, src[1]] : [src[0], point])
                        return zip(out, ddst).reduce(0) { $0 + Double($1.0) * Double($1.1) }
                    }
                }
            }
        }
    }

    func testLargerOfEqualsSharesTheGradient() {
        for isa in supportedSets {
            for pairing in [RK_MAXIMUM, RK_MINIMUM] {
                let pair = Pair(pairing: pairing, extents: [[1, 1, 2], [1, 1, 2]], type: RK_F32)
                let src: [[Float]] = [[1, 2, 3, 4], [1, 2, 3, 4]]
                XCTAssertEqual(pair.backward(isa, src, [2, 4, 6, 8], which: 1), [1, 2, 3, 4], isa.label)
                let found = pair.forward(isa, [[.nan, 1, 0, .nan], [1, .nan, 0, .nan]])
                XCTAssertTrue(found[0].isNaN && found[1].isNaN && found[2] == 0 && found[3].isNaN, isa.label)
            }
        }
    }

    // MARK: Local response normalisation

    private func lrn(
        _ isa: rk_isa, _ src: [Float], c: Int, _ size: Int, ddst: [Float]? = nil, accumulate: Bool = false,
        _ type: rk_type = RK_F32, threads: Int32 = 1
    ) -> [Float] {
        let (before, after) = (Int64((size - 1) / 2), Int64(size / 2))
        let floats = rk_lrn_scratch(Int64(c), before, after)
        let scratch = Floats(count: floats * Int(threads), repeating: .nan)
        let (map, to) = (TestMap(src, type), TestMap(ddst ?? src, type))
        var args = rk_lrn_args(
            isa: isa, type: type, rows: Int64(src.count / c), c: Int64(c), before: before, after: after, alpha: 0.3,
            beta: 0.75, bias: 1.5, src: map.readable, dst: to.pointer, scratch: scratch.pointer)
        defer {
            assertIntact([map, to])
            assertIntact([scratch])
        }
        guard let ddst else {
            runStep(rk_lrn, args, threads: threads)
            return to.values
        }
        args.dst = nil
        let d = TestMap(ddst, type)
        let backward = rk_lrn_backward_args(
            forward: args, ddst: d.readable, accumulate: accumulate ? 1 : 0, dsrc: to.pointer)
        runStep(rk_lrn_backward, backward, threads: threads)
        assertIntact([d])
        return to.values
    }

    func testLocalResponseNormMatchesTheTwin() {
        for type in elementTypes {
            let tolerance = type == RK_F32 ? 2e-6 : 1.0 / 100
            for (rows, c, size) in [(1, 1, 1), (3, 5, 3), (7, 16, 5), (5, 33, 4), (2, 3, 9), (4, 100, 2)] {
                var random = TestRandom(c)
                let (src, ddst) = (random.floats(rows * c, -2, 2), random.floats(rows * c))
                let twin = lrn(RK_ISA_REFERENCE, src, c: c, size, type)
                for accumulate in [false, true] {
                    let slopes = lrn(RK_ISA_REFERENCE, src, c: c, size, ddst: ddst, accumulate: accumulate, type)
                    forEachSetAndTeam { isa, threads, set in
                        let name = "\(set): \(rows) x \(c), \(size)"
                        assertClose(lrn(isa, src, c: c, size, type, threads: threads), twin, tolerance, name)
                        let d = lrn(isa, src, c: c, size, ddst: ddst, accumulate: accumulate, type, threads: threads)
                        assertClose(d, slopes, tolerance, "d \(name)")
                    }
                }
            }
        }
        var random = TestRandom(8)
        let (src, ddst) = (random.floats(60, -2, 2), random.floats(60))
        let found = supportedSets.map { ($0.label, lrn($0, src, c: 12, 4, ddst: ddst)) }
        assertGradients(found, at: src, "lrn") { point in
            zip(lrn(RK_ISA_REFERENCE, point, c: 12, 4), ddst).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
    }
}
