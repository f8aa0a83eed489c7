// HalfOperatorTests: the operators on bf16 maps against their twins, and the roundings between the types, all of them.
// Not here: convolution (HalfConvolutionTests).
import CRengaKernels
import XCTest

final class HalfOperatorTests: XCTestCase {
    private static let counts = [1, 3, 15, 16, 17, 33, 1000]

    /// Every upper half with lower halves around the ties: to the nearest, ties to even, NaN stays NaN; and back exactly.
    func testConversionsOfAllUpperHalves() {
        for low: UInt32 in [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF] {
            let values = (0..<UInt32(1 << 16)).map { Float(bitPattern: $0 << 16 | low) }
            let expected = values.map(\.halfBits)
            for isa in supportedSets {
                let (wide, half) = (Floats(values), Guarded<UInt16>(count: values.count, repeating: 0))
                runStep(
                    rk_convert,
                    rk_convert_args(
                        isa: isa, src_type: RK_F32, dst_type: RK_BF16, count: Int64(values.count), src: wide.map,
                        dst: half.mutableMap), threads: 2)
                let back = Floats(count: values.count, repeating: 0)
                runStep(
                    rk_convert,
                    rk_convert_args(
                        isa: isa, src_type: RK_BF16, dst_type: RK_F32, count: Int64(values.count), src: half.map,
                        dst: back.mutableMap), threads: 2)
                XCTAssertTrue(half.values == expected, "\(isa.label), lower half \(low)")
                assertSameBits(back.values, half.values.map { Float(halfBits: $0) }, isa.label)
                assertIntact([wide, back])
                assertIntact([half])
            }
        }
    }

    /// One rounding of a result apart at most, beside the rounding of f32.
    private func assertNear(_ found: [Float], _ expected: [Float], _ what: String) {
        for (f, e) in zip(found, expected) where !(f.isNaN && e.isNaN) && f != e {
            let allowed = max(abs(e), abs(f)) * 0x1p-7 + 1e-6
            if !(abs(f - e) <= allowed) { return XCTFail("\(what): \(f) for \(e)") }
        }
    }

    private func check(_ what: String, _ run: (rk_isa, Int32) -> [Float]) {
        let expected = run(RK_ISA_REFERENCE, 1)
        for isa in fastSets {
            let alone = run(isa, 1)
            assertNear(alone, expected, "\(what), \(isa.label)")
            assertSameBits(run(isa, 3), alone, "\(what), \(isa.label), 3 threads")
        }
    }

    func testSumsAndGradientsOfReLU() {
        for count in Self.counts {
            var random = TestRandom(count)
            let (a, b, before) = (random.floats(count), random.floats(count), random.floats(count))
            check("sum of \(count)") { isa, threads in
                let (x, y) = (TestMap(a, RK_BF16), TestMap(b, RK_BF16))
                let dst = TestMap(count: count, RK_BF16, repeating: .nan)
                var args = rk_sum_args()
                (args.isa, args.type, args.count, args.terms) = (isa, RK_BF16, Int64(count), 2)
                (args.src.0, args.src.1, args.dst) = (x.readable, y.readable, dst.pointer)
                (args.scale, args.relu) = (0.5, 1)
                runStep(rk_sum, args, threads: threads)
                assertIntact([x, y, dst])
                return dst.values
            }
            check("gradient of ReLU, \(count)") { isa, threads in
                let (y, d, dx) = (TestMap(a, RK_BF16), TestMap(b, RK_BF16), TestMap(before, RK_BF16))
                runStep(
                    rk_relu_backward,
                    rk_relu_backward_args(
                        isa: isa, type: RK_BF16, count: Int64(count), dst: y.readable, ddst: d.readable, scale: 0.5,
                        accumulate: 1, dsrc: dx.pointer), threads: threads)
                assertIntact([y, d, dx])
                return dx.values
            }
        }
    }

    func testScaleAndShift() {
        for (rows, c) in [(1, 1), (5, 7), (31, 17), (200, 33), (64, 64)] {
            var random = TestRandom(rows + c)
            let (src, add) = (random.floats(rows * c, -2, 3), random.floats(rows * c))
            let (scale, shift) = (Floats(random.floats(c)), Floats(random.floats(c)))
            check("scale and shift, \(rows) x \(c)") { isa, threads in
                let (x, r) = (TestMap(src, RK_BF16), TestMap(add, RK_BF16))
                let dst = TestMap(count: rows * c, RK_BF16, repeating: .nan)
                var args = rk_scale_shift_args()
                (args.isa, args.type, args.rows, args.c) = (isa, RK_BF16, Int64(rows), Int64(c))
                (args.src, args.add, args.dst) = (x.readable, r.readable, dst.pointer)
                (args.scale, args.shift, args.relu) = (scale.readable, shift.readable, 1)
                runStep(rk_scale_shift, args, threads: threads)
                assertIntact([x, r, dst])
                return dst.values
            }
        }
        // Far from zero the sums of a channel are f32's: the mean of equal values is that value.
        let flat = TestMap(count: 99 * 5, RK_BF16, repeating: 1000)
        let dst = TestMap(count: 5, RK_BF16, repeating: .nan)
        runStep(
            rk_global_average,
            rk_global_average_args(
                isa: rk_isa_best(), type: RK_BF16, n: 1, pixels: 99, c: 5, src: flat.readable, dst: dst.pointer))
        XCTAssertEqual(dst.values, [Float](repeating: 1000, count: 5))
    }

    func testPools() {
        for c in [1, 5, 16, 19] {
            var random = TestRandom(c)
            let src = random.floats(2 * 7 * 6 * c)
            var shape = rk_pool_shape()
            (shape.n, shape.h, shape.w, shape.c, shape.r, shape.s) = (2, 7, 6, Int64(c), 3, 3)
            (shape.stride_h, shape.stride_w, shape.pad_top, shape.pad_left) = (2, 2, 1, 1)
            (shape.pad_bottom, shape.pad_right, shape.dilation_h, shape.dilation_w) = (1, 1, 1, 1)
            (shape.oh, shape.ow) = (4, 3)
            for max in [true, false] {
                check("pool, \(c) channels") { isa, threads in
                    let (x, y) = (TestMap(src, RK_BF16), TestMap(count: 2 * 4 * 3 * c, RK_BF16, repeating: .nan))
                    runStep(
                        max ? rk_max_pool : rk_average_pool,
                        rk_pool_args(
                            isa: isa, type: RK_BF16, shape: shape, count_include_pad: 0, src: x.readable,
                            dst: y.pointer), threads: threads)
                    assertIntact([x, y])
                    return y.values
                }
            }
        }
    }

    func testSoftmaxIsF32() {
        var random = TestRandom(3)
        let src = random.floats(7 * 19, -9, 9)
        for isa in supportedSets {
            let (x, y) = (TestMap(src, RK_BF16), Floats(count: src.count, repeating: .nan))
            runStep(
                rk_softmax,
                rk_softmax_args(
                    isa: isa, type: RK_BF16, rows: 7, c: 19, src: x.readable, dst: y.pointer, log: 0, inner: 1),
                threads: 2)
            for row in 0..<7 { XCTAssertEqual(y.values[row * 19..<row * 19 + 19].reduce(0, +), 1, accuracy: 1e-6) }
            assertIntact([x])
        }
    }
}
