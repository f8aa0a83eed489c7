// ElementwiseTests: sums, ReLU and PReLU gradients, channel copies and dropout against their twins and by identities.
import CRengaKernels
import XCTest

final class ElementwiseTests: XCTestCase {
    private static let counts = [1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 1023, 1025, 2049, 5003]
    private static let shapes = [
        (1, 1), (2, 3), (3, 70), (5, 7), (17, 1), (19, 16), (31, 17), (41, 5), (97, 13), (101, 67), (1500, 18),
        (70, 257),
    ]

    // MARK: Sum

    /// The sum step over `terms`; `into` names the term that is also the destination.
    private func sum(
        _ isa: rk_isa, _ terms: [[Float]], scale: Float = 1, relu: Bool = false, into: Int? = nil, threads: Int32 = 1
    ) -> [Float] {
        let buffers = terms.map { Floats($0, misaligned: terms.count % 2 == 0) }
        let dst = into.map { buffers[$0] } ?? Floats(count: terms[0].count, repeating: .nan)
        var arguments = rk_sum_args()
        (arguments.isa, arguments.count, arguments.terms) = (isa, Int64(terms[0].count), Int32(terms.count))
        withUnsafeMutableBytes(of: &arguments.src) { raw in
            let pointers = raw.bindMemory(to: UnsafeRawPointer?.self)
            for (i, buffer) in buffers.enumerated() { pointers[i] = buffer.map }
        }
        (arguments.scale, arguments.relu, arguments.dst) = (scale, relu ? 1 : 0, dst.mutableMap)
        runStep(rk_sum, arguments, threads: threads)
        assertIntact(buffers + [dst], "sum of \(terms.count)")
        return dst.values
    }

    func testScaledMatchesTheTwinOnAnyTeam() {
        for count in Self.counts {
            var random = TestRandom(count)
            let (src, before) = (random.floats(count), random.floats(count))
            for accumulate in [false, true] {
                func scaled(_ isa: rk_isa, threads: Int32 = 1) -> [Float] {
                    let (from, dst) = (Floats(src), Floats(before, misaligned: true))
                    var arguments = rk_scaled_args()
                    (arguments.isa, arguments.count, arguments.scale) = (isa, Int64(count), -0.7)
                    (arguments.accumulate, arguments.src, arguments.dst) = (
                        accumulate ? 1 : 0, from.map, dst.mutableMap
                    )
                    runStep(rk_scaled, arguments, threads: threads)
                    assertIntact([from, dst], "scaled")
                    return dst.values
                }
                let twin = scaled(RK_ISA_REFERENCE)
                assertClose(twin, zip(src, before).map { -0.7 * $0 + (accumulate ? $1 : 0) }, 1e-6, "the twin")
                forEachSetAndTeam { isa, threads, name in
                    assertClose(scaled(isa, threads: threads), twin, 1e-6, "\(name): \(count)")
                }
            }
        }
    }

    func testSumMatchesTheTwinOnAnyTeam() {
        for count in Self.counts {
            var random = TestRandom(count)
            for terms in [1, 2, 3, 5, 8] {
                let all = (0..<terms).map { _ in random.floats(count) }
                let twin = sum(RK_ISA_REFERENCE, all, scale: 0.7, relu: terms % 2 == 0)
                forEachSetAndTeam { isa, threads, name in
                    let found = sum(isa, all, scale: 0.7, relu: terms % 2 == 0, threads: threads)
                    assertClose(found, twin, 1e-6, "\(name): \(terms) terms of \(count)")
                    let inPlace = sum(isa, all, scale: 0.7, relu: terms % 2 == 0, into: terms - 1, threads: threads)
                    assertSameBits(inPlace, found, "\(name): \(terms) terms of \(count)")
                }
            }
        }
    }

    func testMeanOfEqualTensorsIsTheTensor() {
        var random = TestRandom(9)
        let tensor = random.floats(1001)
        for isa in supportedSets {
            for terms in 1...8 {
                let mean = sum(isa, Array(repeating: tensor, count: terms), scale: 1 / Float(terms))
                assertClose(mean, tensor, 3e-7, "\(isa.label), \(terms)")
                if terms <= 2 { assertSameBits(mean, tensor, "\(isa.label), \(terms)") }
            }
        }
    }

    func testReLUKeepsNaN() {
        for isa in supportedSets {
            let found = sum(isa, [[-1, 0, 2, .nan, -.infinity, .infinity]], relu: true)
            XCTAssertEqual(found[...2], [0, 0, 2])
            XCTAssertTrue(found[3].isNaN, isa.label)
            XCTAssertEqual(found[4...], [0, .infinity])
        }
    }

    // MARK: ReLU and PReLU

    func testReLUBackwardMatchesTheTwin() {
        for count in Self.counts {
            var random = TestRandom(count + 1)
            let dst = random.floats(count).map { max(0, $0) }
            let (ddst, before) = (random.floats(count), random.floats(count))
            for accumulate in [false, true] {
                func backward(_ isa: rk_isa, _ threads: Int32) -> [Float] {
                    let (y, d, dx) = (Floats(dst), Floats(ddst), Floats(before))
                    runStep(
                        rk_relu_backward,
                        rk_relu_backward_args(
                            isa: isa, type: RK_F32, count: Int64(count), dst: y.readable, ddst: d.readable, scale: 0.5,
                            accumulate: accumulate ? 1 : 0, dsrc: dx.pointer), threads: threads)
                    assertIntact([y, d, dx])
                    return dx.values
                }
                let expected = (0..<count).map { (accumulate ? before[$0] : 0) + (dst[$0] > 0 ? 0.5 * ddst[$0] : 0) }
                assertClose(backward(RK_ISA_REFERENCE, 1), expected, 1e-6)
                forEachSetAndTeam { isa, threads, name in
                    assertClose(backward(isa, threads), expected, 1e-6, "\(name), \(count)")
                }
            }
        }
    }

    private func prelu(_ isa: rk_isa, _ src: [Float], _ slope: [Float], threads: Int32 = 1) -> [Float] {
        let (x, s, y) = (Floats(src), Floats(slope), Floats(count: src.count, repeating: .nan))
        let rows = Int64(src.count / slope.count)
        let arguments = rk_prelu_args(
            isa: isa, type: RK_F32, rows: rows, c: Int64(slope.count), src: x.readable, slope: s.readable,
            dst: y.pointer)
        runStep(rk_prelu, arguments, threads: threads)
        assertIntact([x, s, y])
        return y.values
    }

    private func preluBackward(
        _ isa: rk_isa, _ src: [Float], _ slope: [Float], _ ddst: [Float], accumulate: Bool = false,
        wanted: (dsrc: Bool, dslope: Bool) = (true, true), threads: Int32 = 1
    ) -> (dsrc: [Float], dslope: [Float]) {
        let rows = Int64(src.count / slope.count)
        let (x, s, d) = (Floats(src), Floats(slope), Floats(ddst))
        let (dx, ds) = (Floats(ddst), Floats(count: slope.count, repeating: .nan))
        let scratch = Floats(count: rk_batch_norm_scratch(rows, Int64(slope.count)), repeating: .nan)
        let arguments = rk_prelu_backward_args(
            isa: isa, type: RK_F32, rows: rows, c: Int64(slope.count), src: x.readable, ddst: d.readable,
            slope: s.readable, accumulate: accumulate ? 1 : 0, dsrc: wanted.dsrc ? dx.pointer : nil,
            dslope: wanted.dslope ? ds.pointer : nil,
            scratch: scratch.pointer)
        runStep(rk_prelu_backward, arguments, threads: threads)
        assertIntact([x, s, d, dx, ds, scratch])
        return (dx.values, ds.values)
    }

    func testPReLUMatchesTheTwinOnAnyTeam() {
        for (rows, c) in Self.shapes {
            var random = TestRandom(rows + c)
            let (src, slope, ddst) = (random.floats(rows * c), random.floats(c), random.floats(rows * c))
            let twin = prelu(RK_ISA_REFERENCE, src, slope)
            let accumulate = rows % 2 == 0
            let (dsrc, dslope) = preluBackward(RK_ISA_REFERENCE, src, slope, ddst, accumulate: accumulate)
            for isa in fastSets {
                assertSameBits(prelu(isa, src, slope, threads: 3), twin, "\(isa.label) \(rows)x\(c)")
                let found = preluBackward(isa, src, slope, ddst, accumulate: accumulate)
                assertClose(found.dsrc, dsrc, 1e-6, "\(isa.label) \(rows)x\(c)")
                assertClose(found.dslope, dslope, 1e-5, "\(isa.label) \(rows)x\(c)")
                let noSlope = preluBackward(
                    isa, src, slope, ddst, accumulate: accumulate, wanted: (true, false), threads: 2)
                assertSameBits(noSlope.dsrc, found.dsrc, isa.label)
                XCTAssertTrue(noSlope.dslope.allSatisfy(\.isNaN), isa.label)
                let noSource = preluBackward(isa, src, slope, ddst, wanted: (false, true), threads: 2)
                assertSameBits(noSource.dslope, found.dslope, isa.label)
                assertSameBits(noSource.dsrc, ddst, isa.label)
                for threads in teamSizes.dropFirst() {
                    let again = preluBackward(isa, src, slope, ddst, accumulate: accumulate, threads: threads)
                    assertSameBits(again.dsrc + again.dslope, found.dsrc + found.dslope, "\(isa.label) \(threads)")
                }
            }
        }
    }

    func testPReLUGradientsByFiniteDifferences() {
        var random = TestRandom(5)
        let (src, slope, weight) = (random.floats(13 * 7), random.floats(7, 0.1, 0.9), random.floats(13 * 7))
        func loss(_ src: [Float], _ slope: [Float]) -> Double {
            zip(prelu(RK_ISA_REFERENCE, src, slope), weight).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        let results = supportedSets.map { ($0.label, preluBackward($0, src, slope, weight)) }
        assertGradients(results.map { ($0.0, $0.1.dsrc) }, at: src, "dsrc") { loss($0, slope) }
        assertGradients(results.map { ($0.0, $0.1.dslope) }, at: slope, "dslope") { loss(src, $0) }
    }

    // MARK: Channel copy

    func testChannelCopyMatchesTheTwinOnAnyTeam() {
        for (rows, count, sourceC, sourceOffset, c, offset) in [
            (1, 1, 1, 0, 1, 0), (7, 3, 5, 2, 9, 4), (13, 16, 16, 0, 32, 16), (29, 17, 20, 3, 17, 0),
            (41, 18, 18, 0, 67, 49),
            (101, 35, 70, 35, 35, 0), (3, 130, 131, 1, 140, 7),
        ] {
            var random = TestRandom(rows)
            let (src, before) = (random.floats(rows * sourceC), random.floats(rows * c))
            for (accumulate, zeroRest) in [(false, false), (false, true), (true, false)] {
                func copy(_ isa: rk_isa, _ threads: Int32) -> [Float] {
                    let (x, y) = (Floats(src), Floats(before))
                    runStep(
                        rk_channel_copy,
                        rk_channel_copy_args(
                            isa: isa, type: RK_F32, rows: Int64(rows), count: Int64(count), src_c: Int64(sourceC),
                            src_offset: Int64(sourceOffset), dst_c: Int64(c), dst_offset: Int64(offset),
                            src: x.readable,
                            accumulate: accumulate ? 1 : 0, zero_rest: zeroRest ? 1 : 0, dst: y.pointer),
                        threads: threads)
                    assertIntact([x, y])
                    return y.values
                }
                let expected = (0..<rows * c).map { at -> Float in
                    let channel = at % c - offset
                    guard (0..<count).contains(channel) else { return zeroRest ? 0 : before[at] }
                    return src[at / c * sourceC + sourceOffset + channel] + (accumulate ? before[at] : 0)
                }
                assertSameBits(copy(RK_ISA_REFERENCE, 1), expected, "twin")
                forEachSetAndTeam { isa, threads, name in
                    assertSameBits(copy(isa, threads), expected, "\(name): \(count) of \(sourceC) to \(c)")
                }
            }
        }
    }

    // MARK: Dropout

    private func dropout(
        _ src: [Float], rate: Float, key: UInt64 = 7, counter: UInt64 = 1, stream: UInt64 = 0, before: [Float]? = nil,
        threads: Int32 = 1
    ) -> [Float] {
        let (x, y) = (Floats(src), Floats(before ?? [Float](repeating: .nan, count: src.count)))
        let (k, t) = (Guarded<UInt64>([key]), Guarded<UInt64>([counter]))
        let arguments = rk_dropout_args(
            type: RK_F32, count: Int64(src.count), rate: rate, key: k.readable, counter: t.readable, stream: stream,
            src: x.readable, accumulate: before == nil ? 0 : 1, dst: y.pointer)
        runStep(rk_dropout, arguments, threads: threads)
        assertIntact([x, y])
        assertIntact([k, t])
        return y.values
    }

    func testDropoutKeepsTheExpectationAndRepeats() {
        let ones = [Float](repeating: 1, count: 40_001)
        for rate: Float in [0, 0.1, 0.5, 0.9] {
            let found = dropout(ones, rate: rate)
            XCTAssertTrue(found.allSatisfy { $0 == 0 || $0 == 1 / (1 - rate) })
            let mean = found.reduce(0) { $0 + Double($1) } / Double(found.count)
            let deviation = (Double(rate) / Double(1 - rate) / Double(found.count)).squareRoot()
            XCTAssertEqual(mean, 1, accuracy: 5 * deviation + 1e-9, "rate \(rate)")
            for threads in teamSizes { assertSameBits(dropout(ones, rate: rate, threads: threads), found) }
        }
        let base = dropout(ones, rate: 0.5)
        for other in [
            dropout(ones, rate: 0.5, key: 8), dropout(ones, rate: 0.5, counter: 2), dropout(ones, rate: 0.5, stream: 1),
        ] {
            let same = zip(base, other).filter { $0 == $1 }.count
            XCTAssertEqual(Double(same) / Double(ones.count), 0.5, accuracy: 0.02, "masks are not independent")
        }
    }

    func testDropoutFollowsTheStreamAndAccumulates() {
        var random = TestRandom(3)
        let (src, before) = (random.floats(103), random.floats(103))
        let found = dropout(src, rate: 0.3, key: 0x1234_5678_9ABC, counter: 77, stream: 5)
        let words = (0..<26).flatMap { philox(key: 0x1234_5678_9ABC, low: UInt64($0), high: 77 ^ (5 << 48)) }
        let expected = src.indices.map { Double(words[$0]) < 0.7 * 4_294_967_296 ? src[$0] / 0.7 : 0 }
        assertClose(found, expected, 1e-6)
        let added = dropout(src, rate: 0.3, key: 0x1234_5678_9ABC, counter: 77, stream: 5, before: before)
        assertClose(added, zip(before, found).map { $0 + $1 }, 1e-6)
    }

    // MARK: Random numbers

    private func philox(key: UInt64, low: UInt64, high: UInt64) -> [UInt32] {
        var words: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { rk_philox(key, low, high, $0.bindMemory(to: UInt32.self).baseAddress) }
        return [words.0, words.1, words.2, words.3]
    }

    /// The known answers published with the generator (Random123, Salmon et al. 2011).
    func testPhiloxKnownAnswers() {
        XCTAssertEqual(philox(key: 0, low: 0, high: 0), [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8])
        XCTAssertEqual(
            philox(key: .max, low: .max, high: .max), [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD])
        XCTAssertEqual(
            philox(key: 0x299F_31D0_A409_3822, low: 0x85A3_08D3_243F_6A88, high: 0x0370_7344_1319_8A2E),
            [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1])
    }
}
