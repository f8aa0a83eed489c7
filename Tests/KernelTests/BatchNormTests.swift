// BatchNormTests: batch normalisation against its twin, by finite differences, on hostile data.
import CRengaKernels
import XCTest

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
