// BatchNormTests: batch normalisation against its twin, by finite differences, on hostile data.
import CRengaKernels
import XCTest

/// One case of batch normalisation and everything that a run of it writes.
struct BatchNormCase {
    var rows: Int
    var c: Int
    var relu = false
    var add = false
    var frozen = false
    var affine = true
    var accumulate = false
    var epsilon: Float = 1e-5
    /// Channels of what is added, where there are fewer.
    var narrow: Int?

    var src: [Float] = []
    var gamma: [Float] = []
    var beta: [Float] = []
    var residual: [Float] = []
    var ddst: [Float] = []
    var before: [Float] = []  // what dsrc and dadd hold where they are accumulated

    init(rows: Int, c: Int, relu: Bool = false, add: Bool = false, frozen: Bool = false, seed: Int = 1) {
        (self.rows, self.c, self.relu, self.add, self.frozen) = (rows, c, relu, add, frozen)
        var random = TestRandom(seed + rows * 1009 + c)
        src = random.floats(rows * c, -2, 3)
        gamma = random.floats(c, 0.5, 1.5)
        beta = random.floats(c)
        residual = random.floats(rows * c)
        ddst = random.floats(rows * c)
        before = random.floats(rows * c)
    }

    struct Forward {
        var dst: [Float]
        var mean: [Float]
        var rstd: [Float]
        var running: [Float]
        var all: [Float] { dst + mean + rstd + running }
    }

    struct Backward {
        var dsrc: [Float]
        var dadd: [Float]
        var dgamma: [Float]
        var dbeta: [Float]
        var all: [Float] { dsrc + dadd + dgamma + dbeta }
    }

    func forward(_ isa: rk_isa, _ threads: Int32 = 1, inPlace: Bool = false) -> Forward {
        let (x, g, b, r) = (Floats(src), Floats(gamma), Floats(beta), Floats(residual))
        let dst = inPlace ? x : Floats(count: rows * c, repeating: .nan)
        let (mean, rstd) = (Floats(count: c, repeating: .nan), Floats(count: c, repeating: .nan))
        let (runningMean, runningVar) = (Floats(gamma), Floats(count: c, repeating: 2))
        let scratch = Floats(count: rk_batch_norm_scratch(Int64(rows), Int64(c)), repeating: .nan)
        var arguments = rk_batch_norm_train_args()
        (arguments.isa, arguments.rows, arguments.c) = (isa, Int64(rows), Int64(c))
        arguments.src = x.map
        if affine { (arguments.gamma, arguments.beta) = (g.readable, b.readable) }
        if add { (arguments.add, arguments.add_c) = (r.map, Int64(narrow ?? 0)) }
        (arguments.mean, arguments.rstd) = (mean.pointer, rstd.pointer)
        (arguments.running_mean, arguments.running_var) = (runningMean.pointer, runningVar.pointer)
        (arguments.epsilon, arguments.momentum, arguments.relu) = (epsilon, 0.1, relu ? 1 : 0)
        (arguments.dst, arguments.scratch) = (dst.mutableMap, scratch.pointer)
        runStep(rk_batch_norm_train, arguments, threads: threads)
        assertIntact([x, g, b, r, dst, mean, rstd, runningMean, runningVar, scratch], "\(self)")
        return Forward(
            dst: dst.values, mean: mean.values, rstd: rstd.values, running: runningMean.values + runningVar.values)
    }

    /// dst of the forward pass, then of its recomputation from what it kept.
    func forwardAndAgain(_ isa: rk_isa, _ threads: Int32 = 1) -> (dst: [Float], again: [Float]) {
        let (x, g, b, r) = (Floats(src), Floats(gamma), Floats(beta), Floats(residual))
        let (dst, again) = (Floats(count: rows * c, repeating: .nan), Floats(count: rows * c, repeating: .nan))
        let (mean, rstd) = (Floats(count: c, repeating: .nan), Floats(count: c, repeating: .nan))
        let kept = Floats(count: 2 * c, repeating: .nan)
        let scratch = Floats(count: rk_batch_norm_scratch(Int64(rows), Int64(c)), repeating: .nan)
        var train = rk_batch_norm_train_args()
        (train.isa, train.rows, train.c) = (isa, Int64(rows), Int64(c))
        (train.src, train.gamma, train.beta) = (x.map, g.readable, b.readable)
        if add { (train.add, train.add_c) = (r.map, Int64(narrow ?? 0)) }
        (train.mean, train.rstd, train.scale_shift) = (mean.pointer, rstd.pointer, kept.pointer)
        (train.epsilon, train.momentum, train.relu) = (epsilon, 0.1, relu ? 1 : 0)
        (train.dst, train.scratch) = (dst.mutableMap, scratch.pointer)
        runStep(rk_batch_norm_train, train, threads: threads)
        var affine = rk_scale_shift_args()
        (affine.isa, affine.rows, affine.c) = (isa, Int64(rows), Int64(c))
        (affine.src, affine.center) = (x.map, mean.readable)
        (affine.scale, affine.shift) = (kept.readable, kept.readable + c)
        (affine.add, affine.add_c) = (train.add, train.add_c)
        (affine.relu, affine.dst) = (train.relu, again.mutableMap)
        runStep(rk_scale_shift, affine, threads: threads)
        assertIntact([x, g, b, r, dst, again, mean, rstd, kept, scratch], "\(self)")
        return (dst.values, again.values)
    }

    /// Which results of the backward pass are asked for, and where one of them goes.
    struct BackwardWish {
        var dsrc = true
        var affine = true
        var daddIsDdst = false
    }

    /// The backward pass behind the results of a forward pass.
    func backward(
        _ isa: rk_isa, _ threads: Int32 = 1, after forward: Forward, inPlace: Bool = false,
        wanted: BackwardWish = BackwardWish()
    ) -> Backward {
        let (x, y, d, g) = (Floats(src), Floats(forward.dst), Floats(ddst), Floats(gamma))
        let (mean, rstd) = (Floats(forward.mean), Floats(forward.rstd))
        let (dsrc, dadd) = (inPlace ? d : Floats(before), wanted.daddIsDdst ? d : Floats(before))
        let (dgamma, dbeta) = (Floats(count: c, repeating: .nan), Floats(count: c, repeating: .nan))
        let scratch = Floats(count: rk_batch_norm_scratch(Int64(rows), Int64(c)), repeating: .nan)
        var arguments = rk_batch_norm_backward_args()
        (arguments.isa, arguments.rows, arguments.c) = (isa, Int64(rows), Int64(c))
        (arguments.src, arguments.ddst) = (x.map, d.map)
        if relu { arguments.dst = y.map }
        if affine { arguments.gamma = g.readable }
        (arguments.mean, arguments.rstd) = (mean.readable, rstd.readable)
        (arguments.relu, arguments.frozen_stats) = (relu ? 1 : 0, frozen ? 1 : 0)
        (arguments.accumulate_dsrc, arguments.accumulate_dadd) = (accumulate ? 1 : 0, accumulate ? 1 : 0)
        if wanted.dsrc { arguments.dsrc = dsrc.mutableMap }
        if add { (arguments.dadd, arguments.dadd_c) = (dadd.mutableMap, Int64(narrow ?? 0)) }
        if wanted.affine { (arguments.dgamma, arguments.dbeta) = (dgamma.pointer, dbeta.pointer) }
        arguments.scratch = scratch.pointer
        runStep(rk_batch_norm_backward, arguments, threads: threads)
        assertIntact([x, y, d, g, mean, rstd, dsrc, dadd, dgamma, dbeta, scratch], "\(self)")
        return Backward(
            dsrc: dsrc.values, dadd: dadd.values, dgamma: dgamma.values, dbeta: dbeta.values)
    }

    /// Frozen statistics: scale and shift, then the affine map.
    func frozenForward(_ isa: rk_isa, _ threads: Int32 = 1, mean: [Float], variance: [Float]) -> Forward {
        let (x, g, b, r, m, v) = (
            Floats(src), Floats(gamma), Floats(beta), Floats(residual), Floats(mean), Floats(variance)
        )
        let (scale, shift, rstd) = (
            Floats(count: c, repeating: 0), Floats(count: c, repeating: 0), Floats(count: c, repeating: 0)
        )
        let dst = Floats(count: rows * c, repeating: .nan)
        var prepare = rk_batch_norm_prepare_args()
        prepare.c = Int64(c)
        if affine { (prepare.gamma, prepare.beta) = (g.readable, b.readable) }
        (prepare.mean, prepare.`var`, prepare.epsilon) = (m.readable, v.readable, epsilon)
        (prepare.scale, prepare.shift, prepare.rstd) = (scale.pointer, shift.pointer, rstd.pointer)
        runStep(rk_batch_norm_prepare, prepare, threads: threads)
        var arguments = rk_scale_shift_args()
        (arguments.isa, arguments.rows, arguments.c) = (isa, Int64(rows), Int64(c))
        (arguments.src, arguments.scale, arguments.shift) = (x.map, scale.readable, shift.readable)
        if add { (arguments.add, arguments.add_c) = (r.map, Int64(narrow ?? 0)) }
        (arguments.relu, arguments.dst) = (relu ? 1 : 0, dst.mutableMap)
        runStep(rk_scale_shift, arguments, threads: threads)
        assertIntact([x, g, b, r, m, v, scale, shift, rstd, dst], "\(self)")
        return Forward(dst: dst.values, mean: mean, rstd: rstd.values, running: [])
    }
}

final class BatchNormTests: XCTestCase {
    /// Small and odd ones, periods that wrap, several chunks, and channel counts beyond any period.
    static let shapes: [(Int, Int)] = [
        (1, 1), (2, 3), (3, 70), (5, 7), (17, 1), (19, 16), (31, 17), (41, 5), (64, 64), (97, 13), (101, 67), (199, 18),
        (200, 33), (700, 48), (1031, 16), (2050, 17), (131, 257), (300, 128), (2, 2053), (20_000, 1),
    ]

    func testForwardMatchesTheTwinOnAnyTeam() {
        for (rows, c) in Self.shapes {
            for (relu, add) in [(false, false), (true, true), (true, false), (false, true)] {
                let one = BatchNormCase(rows: rows, c: c, relu: relu, add: add)
                let twin = one.forward(RK_ISA_REFERENCE).all
                for isa in fastSets {
                    let found = one.forward(isa).all
                    assertClose(found, twin, 3e-6, "\(isa.label) \(rows)x\(c) relu \(relu) add \(add)")
                    guard relu && add else { continue }
                    for threads in teamSizes.dropFirst() {
                        assertSameBits(
                            one.forward(isa, threads).all, found, "\(isa.label) \(rows)x\(c), \(threads) threads")
                    }
                }
            }
        }
    }

    func testRecomputationGivesTheBitsOfTheForwardPass() {
        for (rows, c) in Self.shapes {
            for (relu, add) in [(false, false), (true, true)] {
                var one = BatchNormCase(rows: rows, c: c, relu: relu, add: add)
                // A mean far from zero: what it loses in float lies in the shift.
                one.src = one.src.map { $0 + 1000.3 }
                forEachSetAndTeam { isa, threads, name in
                    let found = one.forwardAndAgain(isa, threads)
                    assertSameBits(found.again, found.dst, "\(name) \(rows)x\(c) relu \(relu) add \(add)")
                }
            }
        }
    }

    func testBackwardMatchesTheTwinOnAnyTeam() {
        for (rows, c) in Self.shapes {
            for (relu, add, frozen) in [
                (false, false, false), (true, true, false), (true, true, true), (false, false, true),
            ] {
                var one = BatchNormCase(rows: rows, c: c, relu: relu, add: add, frozen: frozen)
                one.accumulate = rows % 2 == 1
                let forward = one.forward(RK_ISA_REFERENCE)
                let twin = one.backward(RK_ISA_REFERENCE, after: forward).all
                for isa in fastSets {
                    let found = one.backward(isa, after: forward).all
                    // Two rows normalise to nearly +-1 whatever they are: their gradient is a difference of equals.
                    assertClose(
                        found, twin, rows < 4 ? 1e-3 : 2e-5,
                        "\(isa.label) \(one.rows)x\(c) relu \(relu) frozen \(frozen)")
                    guard relu else { continue }
                    for threads in teamSizes.dropFirst() {
                        assertSameBits(
                            one.backward(isa, threads, after: forward).all, found,
                            "\(isa.label) \(rows)x\(c), \(threads) threads")
                    }
                }
            }
        }
    }

    /// A sum with fewer channels is one with zeros behind them, in both passes, whole and in parts: the same bits.
    func testSumWithFewerChannels() {
        for (rows, c, narrow) in [(3, 70, 1), (31, 17, 16), (97, 13, 3), (130, 48, 32), (2, 2053, 40)] {
            for (relu, frozen) in [(false, false), (true, false), (true, true)] {
                checkFewer(rows, c, narrow, relu: relu, frozen: frozen)
            }
        }
    }

    private func checkFewer(_ rows: Int, _ c: Int, _ narrow: Int, relu: Bool, frozen: Bool) {
        var plain = BatchNormCase(rows: rows, c: c, relu: relu, add: true, frozen: frozen)
        plain.accumulate = rows % 2 == 1
        var (few, zeros) = (plain, plain)
        few.narrow = narrow
        zeros.residual = (0..<rows * c).map { $0 % c < narrow ? plain.residual[$0 / c * narrow + $0 % c] : 0 }
        let (one, padded) = (few, zeros)
        forEachSetAndTeam { isa, threads, name in
            let what = "\(name) \(rows)x\(c), \(narrow) added, relu \(relu) frozen \(frozen)"
            let (found, expected) = (one.forward(isa, threads), padded.forward(isa, threads))
            assertSameBits(found.all, expected.all, what)
            assertSameBits(one.forwardAndAgain(isa, threads).again, found.dst, what)
            let back = one.backward(isa, threads, after: found)
            let whole = padded.backward(isa, threads, after: found)
            assertSameBits(back.dsrc + back.dgamma + back.dbeta, whole.dsrc + whole.dgamma + whole.dbeta, what)
            let added = (0..<rows * narrow).map { at in
                let wide = at / narrow * c + at % narrow
                let d = relu && !(found.dst[wide] > 0) ? 0 : one.ddst[wide]
                return one.accumulate ? one.before[at] + d : d
            }
            assertSameBits(back.dadd, added + one.before.dropFirst(rows * narrow), what)
        }
    }

    func testWithoutAffineAndInPlace() {
        for isa in supportedSets {
            var one = BatchNormCase(rows: 37, c: 19, relu: true, add: true)
            one.affine = false
            var same = one
            (same.gamma, same.beta) = ([Float](repeating: 1, count: 19), [Float](repeating: 0, count: 19))
            same.affine = true
            assertClose(one.forward(isa).dst, same.forward(isa).dst, 1e-6, isa.label)
            let forward = one.forward(isa)
            assertSameBits(one.forward(isa, inPlace: true).dst, forward.dst, isa.label)
            let (apart, inPlace) = (one.backward(isa, after: forward), one.backward(isa, after: forward, inPlace: true))
            assertSameBits(apart.all, inPlace.all, isa.label)
        }
    }

    func testBackwardOfOnlyWhatIsWanted() {
        for isa in supportedSets {
            for frozen in [false, true] {
                for accumulate in [false, true] {
                    var one = BatchNormCase(rows: 700, c: 35, relu: true, add: true, frozen: frozen)
                    one.accumulate = accumulate
                    let forward = one.forward(isa)
                    let all = one.backward(isa, after: forward)
                    let what = "\(isa.label) frozen \(frozen) accumulate \(accumulate)"
                    let noAffine = one.backward(isa, after: forward, wanted: .init(affine: false))
                    assertSameBits(noAffine.dsrc + noAffine.dadd, all.dsrc + all.dadd, what)
                    XCTAssertTrue((noAffine.dgamma + noAffine.dbeta).allSatisfy(\.isNaN), what)
                    let noSource = one.backward(isa, after: forward, wanted: .init(dsrc: false))
                    assertSameBits(
                        noSource.dadd + noSource.dgamma + noSource.dbeta, all.dadd + all.dgamma + all.dbeta, what)
                    assertSameBits(noSource.dsrc, one.before, what)
                    guard !accumulate else { continue }
                    let masked = one.backward(isa, after: forward, wanted: .init(daddIsDdst: true))
                    assertSameBits(masked.all, all.all, what)
                }
            }
        }
    }

    func testFrozenForwardMatchesTheTwin() {
        for (rows, c) in Self.shapes {
            let one = BatchNormCase(rows: rows, c: c, relu: true, add: rows % 2 == 0)
            var random = TestRandom(c)
            let (mean, variance) = (random.floats(c), random.floats(c, 0.1, 2))
            let twin = one.frozenForward(RK_ISA_REFERENCE, mean: mean, variance: variance)
            forEachSetAndTeam { isa, threads, name in
                let found = one.frozenForward(isa, threads, mean: mean, variance: variance)
                assertClose(found.dst + found.rstd, twin.dst + twin.rstd, 1e-6, "\(name) \(rows)x\(c)")
            }
        }
    }

    func testNormalisedMapHasNoMeanAndUnitVariance() {
        for isa in supportedSets {
            var one = BatchNormCase(rows: 500, c: 21)
            one.affine = false
            let dst = one.forward(isa).dst
            for channel in 0..<one.c {
                let values = stride(from: channel, to: dst.count, by: one.c).map { Double(dst[$0]) }
                XCTAssertEqual(values.reduce(0, +) / 500, 0, accuracy: 1e-6, isa.label)
                XCTAssertEqual(values.reduce(0) { $0 + $1 * $1 } / 500, 1, accuracy: 1e-4, isa.label)
            }
            // Normalising what is normal changes nothing (epsilon aside), whatever the scale and mean were before.
            one.src = dst
            assertClose(one.forward(isa).dst, dst, 1e-4, isa.label)
            XCTAssertTrue(one.forward(isa).mean.allSatisfy { abs($0) < 1e-6 }, isa.label)
        }
    }

    func testRunningStatisticsByHand() {
        for isa in supportedSets {
            var one = BatchNormCase(rows: 4, c: 1)
            (one.src, one.gamma) = ([1, 2, 3, 6], [10])  // mean 3, biased variance 3.5, unbiased 14 / 3
            let forward = one.forward(isa)
            XCTAssertEqual(forward.mean[0], 3, accuracy: 1e-6)
            XCTAssertEqual(forward.rstd[0], 1 / (3.5 + 1e-5).squareRoot(), accuracy: 1e-6)
            assertClose(forward.running, [0.9 * 10 + 0.1 * 3, 0.9 * 2 + 0.1 * 14 / 3], 1e-6, isa.label)
        }
    }

    /// A mean ten thousand times the spread: sums of squares in float would find a negative variance.
    func testLargeMeanAndTinyVariance() {
        for isa in supportedSets {
            for (offset, spread) in [(Float(1e4), Float(1)), (1e4, 0.01), (-3e5, 1), (1e6, 10)] {
                var one = BatchNormCase(rows: 2000, c: 17)
                one.affine = false
                one.src = one.src.map { offset + spread * $0 }
                // The data as rounded to float are the truth: its statistics in double.
                let found = one.forward(isa)
                let twin = one.forward(RK_ISA_REFERENCE)
                assertClose(
                    found.rstd.map { $0 * spread }, twin.rstd.map { $0 * spread }, 1e-4, "\(isa.label) \(offset)")
                assertClose(found.dst, twin.dst, 1e-4, "\(isa.label) \(offset) \(spread)")
            }
        }
    }

    func testConstantChannelGivesBetaAndOutlierIsNotLost() {
        for isa in supportedSets {
            var one = BatchNormCase(rows: 3000, c: 3)
            one.src = [Float](repeating: 0.1, count: 9000)
            assertClose(one.forward(isa).dst, (0..<9000).map { one.beta[$0 % 3] }, 1e-5, isa.label)
            one.src[0] = 1e4
            let (found, twin) = (one.forward(isa), one.forward(RK_ISA_REFERENCE))
            assertClose(found.rstd, twin.rstd, 1e-5, isa.label)
            one.src[1] = .nan
            XCTAssertTrue(one.forward(isa).dst[1].isNaN && !one.forward(isa).dst[2].isNaN, isa.label)
        }
    }

    /// Every gradient of loss = sum(weight * dst) by central differences through the twin.
    func testGradientsByFiniteDifferences() {
        for (rows, c) in [(11, 5), (23, 3)] {
            for (relu, add, frozen) in [
                (false, false, false), (true, true, false), (true, false, true), (false, true, true),
            ] {
                let one = BatchNormCase(rows: rows, c: c, relu: relu, add: add, frozen: frozen)
                let variance = [Float](repeating: 1.7, count: c)
                let mean = [Float](repeating: 0.4, count: c)
                func forward(_ point: BatchNormCase) -> BatchNormCase.Forward {
                    frozen
                        ? point.frozenForward(RK_ISA_REFERENCE, mean: mean, variance: variance)
                        : point.forward(RK_ISA_REFERENCE)
                }
                func loss(_ point: BatchNormCase) -> Double {
                    zip(forward(point).dst, one.ddst).reduce(0) { $0 + Double($1.0) * Double($1.1) }
                }
                func varied(_ path: WritableKeyPath<BatchNormCase, [Float]>, _ values: [Float]) -> Double {
                    var point = one
                    point[keyPath: path] = values
                    return loss(point)
                }
                let results = supportedSets.map { ($0.label, one.backward($0, after: forward(one))) }
                let what = "\(rows)x\(c) relu \(relu) add \(add) frozen \(frozen)"
                assertGradients(results.map { ($0.0, $0.1.dsrc) }, at: one.src, "dsrc " + what) { varied(\.src, $0) }
                assertGradients(results.map { ($0.0, $0.1.dgamma) }, at: one.gamma, "dgamma " + what) {
                    varied(\.gamma, $0)
                }
                assertGradients(results.map { ($0.0, $0.1.dbeta) }, at: one.beta, "dbeta " + what) {
                    varied(\.beta, $0)
                }
                if add {
                    assertGradients(results.map { ($0.0, $0.1.dadd) }, at: one.residual, "dadd " + what) {
                        varied(\.residual, $0)
                    }
                }
            }
        }
    }
}
