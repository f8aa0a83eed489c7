// LossTests: softmax and cross-entropy against their twins, by finite differences and by identities.
import CRengaKernels
import XCTest

final class LossTests: XCTestCase {
    private static let shapes = [
        (1, 1), (2, 3), (3, 70), (5, 7), (17, 2), (19, 16), (31, 17), (41, 5), (64, 10), (97, 13), (101, 67), (7, 1000),
        (199, 33),
    ]

    // MARK: Softmax

    private func softmax(
        _ isa: rk_isa, _ src: [Float], c: Int, log: Bool = false, threads: Int32 = 1, inPlace: Bool = false,
        inner: Int = 1
    ) -> [Float] {
        let x = Floats(src)
        let y = inPlace ? x : Floats(count: src.count, repeating: .nan)
        let rows = Int64(src.count / c / inner)
        runStep(
            rk_softmax,
            rk_softmax_args(
                isa: isa, type: RK_F32, rows: rows, c: Int64(c), src: x.readable, dst: y.pointer, log: log ? 1 : 0,
                inner: Int64(inner)),
            threads: threads)
        assertIntact([x, y])
        return y.values
    }

    private func softmaxBackward(
        _ isa: rk_isa, _ dst: [Float], _ ddst: [Float], c: Int, log: Bool = false, before: [Float]? = nil,
        threads: Int32 = 1, inner: Int = 1
    ) -> [Float] {
        let (y, d, dx) = (Floats(dst), Floats(ddst), Floats(before ?? ddst))
        let arguments = rk_softmax_backward_args(
            isa: isa, type: RK_F32, rows: Int64(dst.count / c / inner), c: Int64(c), dst: y.readable, ddst: d.readable,
            accumulate: before == nil ? 0 : 1, dsrc: dx.pointer, log: log ? 1 : 0, inner: Int64(inner))
        runStep(rk_softmax_backward, arguments, threads: threads)
        assertIntact([y, d, dx])
        return dx.values
    }

    func testSoftmaxMatchesTheTwinOnAnyTeam() {
        for (rows, c) in Self.shapes {
            var random = TestRandom(rows * c)
            let (src, ddst, before) = (
                random.floats(rows * c, -20, 20), random.floats(rows * c), random.floats(rows * c)
            )
            for log in [false, true] {
                let twin = softmax(RK_ISA_REFERENCE, src, c: c, log: log)
                let gradient = softmaxBackward(RK_ISA_REFERENCE, twin, ddst, c: c, log: log)
                forEachSetAndTeam { isa, threads, set in
                    let name = "\(set) \(rows)x\(c), log \(log)"
                    let found = softmax(isa, src, c: c, log: log, threads: threads)
                    assertClose(found, twin, 1e-6, name)
                    assertSameBits(softmax(isa, src, c: c, log: log, threads: threads, inPlace: true), found, name)
                    let alone = softmaxBackward(isa, twin, ddst, c: c, log: log, threads: threads)
                    assertClose(alone, gradient, 1e-6, name)
                    let added = softmaxBackward(isa, twin, ddst, c: c, log: log, before: before, threads: threads)
                    assertClose(added, zip(before, gradient).map { $0 + $1 }, 1e-6, name)
                }
            }
        }
    }

    /// Along an axis whose numbers lie apart: as its twin, and the same as of the transposed map.
    func testSoftmaxAlongOtherAxes() {
        for (rows, c, inner) in [(1, 1, 2), (2, 3, 5), (3, 7, 64), (5, 4, 65), (2, 17, 130), (9, 10, 3)] {
            var random = TestRandom(rows * c + inner)
            let count = rows * c * inner
            let (src, ddst, before) = (random.floats(count, -20, 20), random.floats(count), random.floats(count))
            let transposed = (0..<count).map { at in
                src[at / (c * inner) * c * inner + at % c * inner + at / c % inner]
            }
            for log in [false, true] {
                let twin = softmax(RK_ISA_REFERENCE, src, c: c, log: log, inner: inner)
                let lines = softmax(RK_ISA_REFERENCE, transposed, c: c, log: log)
                let back = (0..<count).map { at in
                    lines[at / (c * inner) * c * inner + at % inner * c + at / inner % c]
                }
                assertClose(twin, back, 1e-7, "\(rows)x\(c)x\(inner), transposed")
                let gradient = softmaxBackward(RK_ISA_REFERENCE, twin, ddst, c: c, log: log, inner: inner)
                forEachSetAndTeam { isa, threads, set in
                    let name = "\(set) \(rows)x\(c)x\(inner), log \(log)"
                    let found = softmax(isa, src, c: c, log: log, threads: threads, inner: inner)
                    assertClose(found, twin, 1e-6, name)
                    let inPlace = softmax(isa, src, c: c, log: log, threads: threads, inPlace: true, inner: inner)
                    assertSameBits(inPlace, found, name)
                    let added = softmaxBackward(
                        isa, twin, ddst, c: c, log: log, before: before, threads: threads, inner: inner)
                    assertClose(added, zip(before, gradient).map { $0 + $1 }, 2e-6, name)
                }
            }
        }
    }

    /// The logarithm where the softmax itself would be 0, and of numbers whose digits a sum of both shifts would lose.
    func testLogarithmsFarApart() {
        for isa in supportedSets {
            let found = softmax(isa, [0, -200, 10_000, 10_001], c: 4, log: true)
            assertClose(found, [-10_001.313_26, -10_201.313_26, -1.313_261_7, -0.313_261_7], 1e-6, isa.label)
        }
    }

    /// Relative accuracy of the vector exponential, over its whole range.
    func testSmallProbabilitiesAreAccurate() {
        let src: [Float] = (0...860).map { -Float($0) / 10 }
        let twin = softmax(RK_ISA_REFERENCE, src, c: src.count)
        for isa in fastSets {
            for (found, expected) in zip(softmax(isa, src, c: src.count), twin) {
                XCTAssertEqual(Double(found) / Double(expected), 1, accuracy: 1e-5, isa.label)
            }
        }
    }

    func testSoftmaxSumsToOneAndIgnoresAShift() {
        var random = TestRandom(4)
        for isa in supportedSets {
            for c in [1, 2, 10, 17, 100] {
                let src = random.floats(9 * c, -5, 5)
                let found = softmax(isa, src, c: c)
                for row in 0..<9 {
                    XCTAssertEqual(found[row * c..<(row + 1) * c].reduce(0, +), 1, accuracy: 1e-5, isa.label)
                }
                assertClose(softmax(isa, src.map { $0 + 64 }, c: c), found, 1e-5, isa.label)
            }
            XCTAssertEqual(softmax(isa, [1e30, -1e30, 1e30, -.infinity], c: 4), [0.5, 0, 0.5, 0], isa.label)
            XCTAssertTrue(softmax(isa, [0, .nan, 1], c: 3).allSatisfy(\.isNaN), isa.label)
        }
    }

    func testSoftmaxGradientByFiniteDifferences() {
        var random = TestRandom(6)
        let (src, weight) = (random.floats(5 * 7, -2, 2), random.floats(5 * 7))
        for log in [false, true] {
            let results = supportedSets.map { isa in
                (isa.label, softmaxBackward(isa, softmax(isa, src, c: 7, log: log), weight, c: 7, log: log))
            }
            assertGradients(results, at: src, "softmax, log \(log)") { point in
                let out = softmax(RK_ISA_REFERENCE, point, c: 7, log: log)
                return zip(out, weight).reduce(0) { $0 + Double($1.0) * Double($1.1) }
            }
        }
    }

    // MARK: Cross-entropy

    private struct Loss {
        var loss: Double
        var correct: Int64
        var invalid: Int64
        var gradient: [Float]
    }

    private func crossEntropy(
        _ isa: rk_isa, _ logits: [Float], _ labels: [Int32], c: Int, smoothing: Float = 0, threads: Int32 = 1,
        inPlace: Bool = false, wanted: Bool = true
    ) -> Loss {
        let z = Floats(logits)
        let dz = inPlace ? z : Floats(count: logits.count, repeating: .nan)
        let (targets, loss) = (Guarded<Int32>(labels), Guarded<Double>([-1]))
        let counts = Guarded<Int64>([-1, -1])
        let scratch = Floats(count: rk_cross_entropy_scratch(Int64(labels.count)), repeating: .nan)
        let arguments = rk_cross_entropy_args(
            isa: isa, rows: Int64(labels.count), c: Int64(c), logits: z.readable, labels: targets.readable,
            smoothing: smoothing, dlogits: wanted ? dz.pointer : nil, loss: loss.pointer, correct: counts.pointer,
            invalid: counts.pointer + 1, scratch: scratch.pointer)
        runStep(rk_cross_entropy, arguments, threads: threads)
        assertIntact([z, dz, scratch])
        XCTAssertTrue(targets.isIntact && loss.isIntact && counts.isIntact)
        return Loss(loss: loss.values[0], correct: counts.values[0], invalid: counts.values[1], gradient: dz.values)
    }

    func testCrossEntropyMatchesTheTwinOnAnyTeam() {
        for (rows, c) in Self.shapes {
            var random = TestRandom(rows + 7 * c)
            let logits = random.floats(rows * c, -4, 4)
            // Some labels are out of range on both sides.
            let labels = (0..<rows).map { _ in Int32(random.index(c + 2)) - 1 }
            for smoothing: Float in [0, 0.1] {
                let twin = crossEntropy(RK_ISA_REFERENCE, logits, labels, c: c, smoothing: smoothing)
                XCTAssertEqual(twin.invalid, Int64(labels.filter { $0 < 0 || $0 >= c }.count))
                for isa in fastSets {
                    let one = crossEntropy(isa, logits, labels, c: c, smoothing: smoothing)
                    let what = "\(isa.label) \(rows)x\(c) smoothing \(smoothing)"
                    XCTAssertEqual(one.loss, twin.loss, accuracy: 1e-6 * max(1, twin.loss), what)
                    assertClose(one.gradient, twin.gradient, 1e-6, what)
                    XCTAssertEqual([one.correct, one.invalid], [twin.correct, twin.invalid], what)
                    for threads in teamSizes.dropFirst() {
                        let again = crossEntropy(isa, logits, labels, c: c, smoothing: smoothing, threads: threads)
                        XCTAssertEqual(again.loss, one.loss, what)
                        assertSameBits(again.gradient, one.gradient, what)
                    }
                    let inPlace = crossEntropy(isa, logits, labels, c: c, smoothing: smoothing, inPlace: true)
                    assertSameBits(inPlace.gradient, one.gradient, what)
                    let alone = crossEntropy(isa, logits, labels, c: c, smoothing: smoothing, wanted: false)
                    XCTAssertEqual([alone.loss], [one.loss], what)
                    XCTAssertTrue(alone.gradient.allSatisfy(\.isNaN), what)
                }
            }
        }
    }

    func testCrossEntropyGradientByFiniteDifferences() {
        var random = TestRandom(8)
        let (logits, labels): ([Float], [Int32]) = (random.floats(6 * 5, -2, 2), [0, 4, 2, -1, 1, 3])
        for smoothing: Float in [0, 0.2] {
            let results = supportedSets.map {
                ($0.label, crossEntropy($0, logits, labels, c: 5, smoothing: smoothing).gradient)
            }
            assertGradients(results, at: logits, tolerance: 1e-3, "cross-entropy \(smoothing)") { point in
                crossEntropy(RK_ISA_REFERENCE, point, labels, c: 5, smoothing: smoothing).loss
            }
        }
    }

    func testCrossEntropyByHand() {
        for isa in supportedSets {
            let even = crossEntropy(isa, [Float](repeating: 3, count: 20), [0, 9], c: 10)
            XCTAssertEqual(even.loss, 2.302585092994046, accuracy: 1e-6, isa.label)
            XCTAssertEqual(even.correct, 1, "of equal logits the first counts")
            assertClose(Array(even.gradient[..<2]), [(0.1 - 1) / 2, 0.1 / 2], 1e-6, isa.label)
            let sure = crossEntropy(isa, [200, 0, 0, 200], [0, 0], c: 2)
            XCTAssertEqual(sure.loss, 100, accuracy: 1e-4, isa.label)
            let none = crossEntropy(isa, [1, 2, 3, 4], [-1, 7], c: 2)
            XCTAssertEqual([none.loss], [0], isa.label)
            XCTAssertEqual([none.correct, none.invalid], [0, 2])
            XCTAssertEqual(none.gradient, [0, 0, 0, 0])
            let broken = crossEntropy(isa, [.nan, 0, 0, 1], [0, 1], c: 2)
            XCTAssertTrue(broken.loss.isNaN, isa.label)
            XCTAssertEqual(broken.correct, 1, isa.label)
        }
    }
}
