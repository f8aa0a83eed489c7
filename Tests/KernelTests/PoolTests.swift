// PoolTests: max, average and global average pooling against their twins, by finite differences, and by hand for PyTorch's rules.
import CRengaKernels
import XCTest

/// One pooling case: a shape and its data.
private struct PoolCase: CustomStringConvertible {
    var shape: rk_pool_shape
    var countIncludePad = true
    var accumulate = false
    var src: [Float] = []
    var ddst: [Float] = []
    var before: [Float] = []

    /// - Parameter ceil: as PyTorch's ceil_mode: one more window where it starts on the map or its leading padding.
    init(
        n: Int, h: Int, w: Int, c: Int, window: (Int, Int), stride: (Int, Int), pad: (Int, Int) = (0, 0),
        dilation: (Int, Int) = (1, 1), ceil: Bool = false, seed: Int = 3
    ) {
        func outputs(_ size: Int, _ window: Int, _ stride: Int, _ pad: Int, _ dilation: Int) -> Int {
            let span = size + 2 * pad - dilation * (window - 1) - 1
            let count = (span + (ceil ? stride - 1 : 0)) / stride + 1
            return ceil && (count - 1) * stride >= size + pad ? count - 1 : count
        }
        let oh = outputs(h, window.0, stride.0, pad.0, dilation.0)
        let ow = outputs(w, window.1, stride.1, pad.1, dilation.1)
        shape = rk_pool_shape(
            n: Int64(n), h: Int64(h), w: Int64(w), c: Int64(c), r: Int64(window.0), s: Int64(window.1),
            stride_h: Int64(stride.0), stride_w: Int64(stride.1), pad_top: Int64(pad.0), pad_left: Int64(pad.1),
            pad_bottom: Int64(pad.0), pad_right: Int64(pad.1), dilation_h: Int64(dilation.0),
            dilation_w: Int64(dilation.1),
            oh: Int64(oh), ow: Int64(ow))
        var random = TestRandom(seed + h * 31 + c)
        src = random.floats(n * h * w * c)
        ddst = random.floats(n * oh * ow * c)
        before = random.floats(n * h * w * c)
    }

    var description: String {
        "\(shape.n)x\(shape.h)x\(shape.w)x\(shape.c) window \(shape.r)x\(shape.s) stride \(shape.stride_h) pad \(shape.pad_top) "
            + "dilation \(shape.dilation_h) counting pad \(countIncludePad)"
    }

    func forward(_ isa: rk_isa, max: Bool, threads: Int32 = 1) -> [Float] {
        let (x, y) = (Floats(src), Floats(count: ddst.count, repeating: .nan))
        let arguments = rk_pool_args(
            isa: isa, type: RK_F32, shape: shape, count_include_pad: countIncludePad ? 1 : 0, src: x.readable,
            dst: y.pointer)
        runStep(max ? rk_max_pool : rk_average_pool, arguments, threads: threads)
        assertIntact([x, y], description)
        return y.values
    }

    func backward(_ isa: rk_isa, max: Bool, threads: Int32 = 1) -> [Float] {
        let (x, d, dx) = (Floats(src), Floats(ddst), Floats(before))
        let arguments = rk_pool_backward_args(
            isa: isa, type: RK_F32, shape: shape, count_include_pad: countIncludePad ? 1 : 0,
            accumulate: accumulate ? 1 : 0, src: max ? x.readable : nil, ddst: d.readable, dsrc: dx.pointer)
        runStep(max ? rk_max_pool_backward : rk_average_pool_backward, arguments, threads: threads)
        assertIntact([x, d, dx], description)
        return dx.values
    }
}

final class PoolTests: XCTestCase {
    private static func cases() -> [PoolCase] {
        var all: [PoolCase] = []
        for c in [1, 2, 3, 5, 7, 11, 15, 16, 17, 23, 31, 32, 33, 48, 64, 67, 70] {
            all.append(PoolCase(n: 2, h: 7, w: 5, c: c, window: (3, 3), stride: (2, 2), pad: (1, 1)))
        }
        for (h, w) in [(1, 1), (2, 9), (11, 13), (17, 4)] {
            all.append(PoolCase(n: 3, h: h, w: w, c: 18, window: (2, 2), stride: (2, 2), ceil: true))
            all.append(PoolCase(n: 1, h: h, w: w, c: 18, window: (3, 2), stride: (1, 3), pad: (1, 1), ceil: true))
            all.append(
                PoolCase(n: 1, h: h + 6, w: w + 6, c: 5, window: (3, 3), stride: (2, 1), pad: (1, 0), dilation: (2, 3)))
            all.append(
                PoolCase(n: 2, h: h + 4, w: w + 4, c: 9, window: (5, 4), stride: (3, 2), pad: (2, 2), ceil: true))
        }
        var uneven = PoolCase(n: 2, h: 8, w: 9, c: 17, window: (3, 3), stride: (2, 2), pad: (1, 1))
        (uneven.shape.pad_top, uneven.shape.pad_left) = (0, 2)  // the same output size from other sides
        uneven.shape.pad_bottom = 2
        uneven.shape.pad_right = 0
        all.append(uneven)
        for i in all.indices {
            all[i].countIncludePad = i % 2 == 0
            all[i].accumulate = i % 3 == 0
        }
        return all
    }

    func testForwardMatchesTheTwinOnAnyTeam() {
        for one in Self.cases() {
            for max in [true, false] {
                let twin = one.forward(RK_ISA_REFERENCE, max: max)
                forEachSetAndTeam { isa, threads, name in
                    let found = one.forward(isa, max: max, threads: threads)
                    if max { assertSameBits(found, twin, "max, \(name): \(one)") }
                    assertClose(found, twin, 1e-6, "average, \(name): \(one)")
                }
            }
        }
    }

    func testBackwardMatchesTheTwinOnAnyTeam() {
        for one in Self.cases() {
            for max in [true, false] {
                let twin = one.backward(RK_ISA_REFERENCE, max: max)
                for isa in fastSets {
                    let found = one.backward(isa, max: max)
                    assertClose(found, twin, 2e-6, "max \(max), \(isa.label): \(one)")
                    for threads in teamSizes.dropFirst() {
                        assertSameBits(
                            one.backward(isa, max: max, threads: threads), found,
                            "max \(max), \(isa.label), \(threads): \(one)")
                    }
                }
            }
        }
    }

    func testGradientsByFiniteDifferences() {
        for var one in Self.cases() where one.src.count < 700 {
            one.accumulate = false
            for max in [true, false] {
                let gradients = supportedSets.map { ($0.label, one.backward($0, max: max)) }
                assertGradients(gradients, at: one.src, samples: 25, "max \(max): \(one)") { point in
                    var moved = one
                    moved.src = point
                    return zip(moved.forward(RK_ISA_REFERENCE, max: max), one.ddst).reduce(0) {
                        $0 + Double($1.0 * $1.1)
                    }
                }
            }
        }
    }

    /// 1 … 5 in a row, windows of 2 every 2, one of padding on both sides, by PyTorch's formulas.
    func testAverageDivisorsByHand() {
        for isa in supportedSets {
            func averages(ceil: Bool, countIncludePad: Bool) -> [Float] {
                var one = PoolCase(n: 1, h: 1, w: 5, c: 1, window: (1, 2), stride: (1, 2), pad: (0, 1), ceil: ceil)
                (one.src, one.countIncludePad) = ([1, 2, 3, 4, 5], countIncludePad)
                return one.forward(isa, max: false)
            }
            XCTAssertEqual(averages(ceil: false, countIncludePad: true), [0.5, 2.5, 4.5])
            XCTAssertEqual(averages(ceil: false, countIncludePad: false), [1, 2.5, 4.5])
            // A window that would start in the padding behind the map is not made.
            XCTAssertEqual(averages(ceil: true, countIncludePad: true), [0.5, 2.5, 4.5])
            // 1 … 6, windows of 3 every 2: the last one reaches one past the padding, which never counts.
            var one = PoolCase(n: 1, h: 1, w: 6, c: 1, window: (1, 3), stride: (1, 2), pad: (0, 1), ceil: true)
            one.src = [1, 2, 3, 4, 5, 6]
            XCTAssertEqual(one.shape.ow, 4)
            XCTAssertEqual(one.forward(isa, max: false), [1, 3, 5, 3])  // (6 + pad) / 2
            one.countIncludePad = false
            XCTAssertEqual(one.forward(isa, max: false), [1.5, 3, 5, 6])
            XCTAssertEqual(one.forward(isa, max: true), [2, 4, 6, 6])
        }
    }

    func testMaxPropagatesNaNAndKeepsInfinities() {
        for isa in supportedSets {
            for c in [1, 5, 16, 21] {
                for place in 0..<4 {
                    var one = PoolCase(n: 1, h: 2, w: 2, c: c, window: (2, 2), stride: (2, 2))
                    one.src[place * c + c - 1] = .nan
                    let found = one.forward(isa, max: true)
                    XCTAssertTrue(found[c - 1].isNaN, "\(isa.label) tap \(place)")
                    XCTAssertFalse(found.dropLast().contains { $0.isNaN }, isa.label)
                }
                var one = PoolCase(n: 1, h: 2, w: 2, c: c, window: (2, 2), stride: (2, 2))
                one.src = [Float](repeating: -.infinity, count: 4 * c)
                XCTAssertEqual(one.forward(isa, max: true), [Float](repeating: -.infinity, count: c), isa.label)
            }
        }
    }

    /// Of equal maxima the first in row order gets all of the gradient.
    func testFirstOfEqualMaximaGetsTheGradient() {
        for isa in supportedSets {
            for c in [1, 17] {
                var one = PoolCase(n: 1, h: 3, w: 3, c: c, window: (3, 3), stride: (1, 1))
                one.src = [Float](repeating: 0, count: 9 * c)
                for channel in 0..<c { (one.src[4 * c + channel], one.src[8 * c + channel]) = (1, 1) }
                one.ddst = [Float](repeating: 2, count: c)
                let found = one.backward(isa, max: true)
                for (i, value) in found.enumerated() { XCTAssertEqual(value, i / c == 4 ? 2 : 0, isa.label) }
            }
        }
    }

    func testGlobalAverageIsAverageOverAll() {
        for (n, h, w, c) in [
            (1, 1, 1, 1), (2, 7, 7, 17), (3, 5, 9, 70), (5, 8, 8, 64), (1, 33, 31, 131), (2, 4, 4, 260),
        ] {
            let one = PoolCase(n: n, h: h, w: w, c: c, window: (h, w), stride: (1, 1))
            let twin = one.forward(RK_ISA_REFERENCE, max: false)
            var backward = one
            backward.countIncludePad = false
            forEachSetAndTeam { isa, threads, name in
                let (x, y) = (Floats(one.src), Floats(count: n * c, repeating: .nan))
                runStep(
                    rk_global_average,
                    rk_global_average_args(
                        isa: isa, type: RK_F32, n: Int64(n), pixels: Int64(h * w), c: Int64(c), src: x.readable,
                        dst: y.pointer),
                    threads: threads)
                assertClose(y.values, twin, 1e-6, "\(name) \(one)")
                for accumulate in [false, true] {
                    let (d, dx) = (Floats(one.ddst), Floats(one.before))
                    runStep(
                        rk_global_average_backward,
                        rk_global_average_backward_args(
                            isa: isa, type: RK_F32, n: Int64(n), pixels: Int64(h * w), c: Int64(c), ddst: d.readable,
                            accumulate: accumulate ? 1 : 0, dsrc: dx.pointer),
                        threads: threads)
                    backward.accumulate = accumulate
                    assertClose(dx.values, backward.backward(isa, max: false), 1e-6, "\(name) \(one)")
                    assertIntact([x, y, d, dx], "\(name) \(one)")
                }
            }
            let (x, reference) = (Floats(one.src), Floats(count: n * c, repeating: .nan))
            runStep(
                rk_global_average,
                rk_global_average_args(
                    isa: RK_ISA_REFERENCE, type: RK_F32, n: Int64(n), pixels: Int64(h * w), c: Int64(c),
                    src: x.readable,
                    dst: reference.pointer))
            assertClose(reference.values, twin, 1e-6, "twin \(one)")
            assertIntact([x, reference])
        }
    }
}
