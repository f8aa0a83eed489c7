// ConvolutionPlanTests: which plans exist: the ordered list, refusals, sizes that overflow.
// Not here: results.
import CRengaKernels
import XCTest

final class ConvolutionPlanTests: XCTestCase {
    private func shape() throws -> rk_conv_shape {
        try XCTUnwrap(rk_conv_shape(n: 2, h: 12, w: 12, c: 16, k: 32, r: 3, s: 3, pads: (1, 1, 1, 1)))
    }

    func testTheReferenceAlwaysApplies() throws {
        for pass in convolutionPasses {
            let plan = try XCTUnwrap(shape().plan(pass, RK_CONV_AUTO, RK_ISA_REFERENCE))
            XCTAssertEqual(plan.algorithm, RK_CONV_REFERENCE)
            XCTAssertEqual(plan.packed_floats, 0)
            XCTAssertNotNil(try shape().plan(pass, RK_CONV_REFERENCE, fastSets.last ?? RK_ISA_REFERENCE))
        }
    }

    func testAutoPicksAFastAlgorithm() throws {
        for pass in convolutionPasses {
            for isa in fastSets {
                XCTAssertNotEqual(try XCTUnwrap(shape().plan(pass, RK_CONV_AUTO, isa)).algorithm, RK_CONV_REFERENCE)
                XCTAssertNotNil(try shape().plan(pass, RK_CONV_DIRECT, isa))
            }
        }
    }

    func testTunedPlansApplyAndAreRemembered() throws {
        for pass in convolutionPasses {
            for isa in supportedSets {
                var shape = try shape()
                var (first, again) = (rk_conv_plan(), rk_conv_plan())
                XCTAssertEqual(rk_conv_plan_tuned(&first, &shape, pass, RK_F32, isa, 2), 0)
                XCTAssertEqual(rk_conv_plan_tuned(&again, &shape, pass, RK_F32, isa, 2), 0)
                XCTAssertEqual(first.algorithm, again.algorithm)
                XCTAssertEqual(isa == RK_ISA_REFERENCE, first.algorithm == RK_CONV_REFERENCE)
                XCTAssertEqual(first.scratch_floats, again.scratch_floats)
                XCTAssertNotNil(shape.plan(pass, first.algorithm, isa))
                shape.oh += 1
                XCTAssertEqual(rk_conv_plan_tuned(&first, &shape, pass, RK_F32, isa, 2), -1)
            }
        }
    }

    func testForcedAlgorithmsThatDoNotApplyAreRefused() throws {
        for pass in convolutionPasses {
            XCTAssertNil(try shape().plan(pass, RK_CONV_DIRECT, RK_ISA_REFERENCE))
            for isa in supportedSets {
                XCTAssertNil(try shape().plan(pass, RK_CONV_DEPTHWISE, isa))
                XCTAssertNil(try shape().plan(pass, rk_conv_algorithm(rawValue: 99), isa))
                let strided = try XCTUnwrap(
                    rk_conv_shape(h: 9, w: 9, c: 16, k: 16, r: 3, s: 3, stride: (2, 2), pads: (1, 1, 1, 1)))
                XCTAssertNil(strided.plan(pass, RK_CONV_WINOGRAD_F2, isa))
                XCTAssertNil(strided.plan(pass, RK_CONV_WINOGRAD_F4, isa))
            }
        }
    }

    func testUnsoundShapesAreRefused() throws {
        let changes: [(inout rk_conv_shape) -> Void] = [
            { $0.n = 0 }, { $0.h = 0 }, { $0.w = -1 }, { $0.c = 0 }, { $0.k = 0 }, { $0.r = 0 }, { $0.s = -3 },
            { $0.stride_h = 0 }, { $0.stride_w = -1 }, { $0.dilation_h = 0 }, { $0.dilation_w = 0 },
            { $0.pad_top = -1 },
            { $0.pad_left = -1 }, { $0.pad_bottom = -1 }, { $0.pad_right = -1 }, { $0.groups = 0 }, { $0.groups = 3 },
            { $0.oh += 1 }, { $0.ow -= 1 }, { $0.r = 20 }, { $0.n = 1 << 44 }, { $0.n = Int64.max },
            { $0.c = Int64.max },
            { $0.k = 1 << 60 }, { $0.pad_top = Int64.max }, { $0.dilation_h = Int64.max }, { $0.r = Int64.max },
        ]
        for (i, change) in changes.enumerated() {
            var shape = try shape()
            change(&shape)
            for pass in convolutionPasses {
                for isa in supportedSets { XCTAssertNil(shape.plan(pass, RK_CONV_AUTO, isa), "change \(i)") }
            }
        }
        XCTAssertNil(try shape().plan(RK_CONV_FORWARD, RK_CONV_AUTO, RK_ISA_REFERENCE, threads: -1))
        XCTAssertNil(
            try shape().plan(RK_CONV_FORWARD, RK_CONV_AUTO, RK_ISA_REFERENCE, threads: Int32(RK_MAX_THREADS) + 1))
    }

    /// Rows of padding that no memory holds: whatever is planned has sizes, and planning does not overflow.
    func testHugePads() throws {
        for (pads, c) in [
            ((0, 1 << 30, 0, 1 << 30), 1 << 17), ((1 << 28, 0, 1 << 29, 0), 1 << 20),
            ((0, 1 << 30, 0, 1 << 30), 1 << 32),
        ] {
            let shape = try XCTUnwrap(rk_conv_shape(h: 3, w: 3, c: c, k: 1, r: 3, s: 3, pads: pads))
            for pass in convolutionPasses {
                for isa in supportedSets {
                    for algorithm in fastAlgorithms + [RK_CONV_AUTO] {
                        guard let plan = shape.plan(pass, algorithm, isa, threads: Int32(RK_MAX_THREADS)) else {
                            continue
                        }
                        XCTAssertLessThan(plan.scratch_floats, 1 << 60)
                        XCTAssertLessThan(plan.packed_floats, 1 << 60)
                    }
                }
            }
        }
    }

    private func choice(_ pass: rk_conv_pass, n: Int, size: Int, c: Int, k: Int) -> rk_conv_algorithm? {
        rk_conv_shape(n: n, h: size, w: size, c: c, k: k, r: 3, s: 3, pads: (1, 1, 1, 1))?
            .plan(pass, RK_CONV_AUTO, fastSets.last ?? RK_ISA_GENERIC)?.algorithm
    }

    /// The list's choice where the measurements leave no doubt.
    func testAutoPicksWinogradWhereItWins() {
        for pass in convolutionPasses {
            XCTAssertEqual(choice(pass, n: 128, size: 32, c: 16, k: 16), RK_CONV_WINOGRAD_F4)
            XCTAssertEqual(choice(pass, n: 64, size: 8, c: 64, k: 64), RK_CONV_WINOGRAD_F4)
        }
        XCTAssertEqual(choice(RK_CONV_FORWARD, n: 1, size: 56, c: 64, k: 64), RK_CONV_WINOGRAD_F4)
        XCTAssertEqual(choice(RK_CONV_FORWARD, n: 1, size: 28, c: 512, k: 512), RK_CONV_WINOGRAD_F4)
        XCTAssertEqual(choice(RK_CONV_FORWARD, n: 1, size: 14, c: 512, k: 512), RK_CONV_WINOGRAD_F2)
        XCTAssertEqual(choice(RK_CONV_FORWARD, n: 1, size: 7, c: 512, k: 512), RK_CONV_DIRECT)
        XCTAssertEqual(choice(RK_CONV_FORWARD, n: 128, size: 32, c: 3, k: 16), RK_CONV_DIRECT)
        XCTAssertEqual(choice(RK_CONV_BACKWARD_WEIGHT, n: 4, size: 14, c: 512, k: 512), RK_CONV_DIRECT)
    }

    func testScaledWeightsArePackedAsIfScaledBefore() throws {
        let shapes = [
            (19, 37, 9, 3, 1), (32, 64, 9, 3, 1), (24, 40, 9, 3, 2), (40, 40, 9, 3, 10), (37, 70, 1, 1, 1),
        ]
        for (c, k, size, r, groups) in shapes {
            let shape = try XCTUnwrap(rk_conv_shape(h: size, w: size, c: c, k: k, r: r, s: r, groups: groups))
            var random = TestRandom(c)
            let (weight, scale) = (random.floats(shape.weightCount), random.floats(k).map { Double($0) * 1.000_000_1 })
            let scaled = weight.enumerated().map { Float(Double($1) * scale[$0 % k]) }
            for isa in halfSets {
                for algorithm in fastAlgorithms {
                    let type = algorithm == RK_CONV_BF16 ? RK_BF16 : RK_F32
                    guard let plan = shape.plan(RK_CONV_FORWARD, algorithm, isa, type: type), plan.packed_floats > 0
                    else { continue }
                    let expected = packed(plan, scaled, nil, threads: 1)
                    // Halves may look like NaN; panels that are streamed leave room.
                    let isWritten = type == RK_F32 && algorithm != RK_CONV_STREAM_BF16 && algorithm != RK_CONV_STREAM
                    XCTAssertFalse(expected.contains { $0.isNaN } && isWritten)
                    let unscaled = packed(plan, weight, nil, threads: 1)
                    XCTAssertTrue(zip(expected, unscaled).contains { $0.bitPattern != $1.bitPattern })
                    for threads in teamSizes {
                        assertSameBits(
                            packed(plan, weight, scale, threads: threads), expected,
                            "\(shape.label), algorithm \(algorithm.rawValue), \(threads) threads")
                    }
                }
            }
        }
    }

    /// Some source channels at a time, cut anywhere: the bits of all at once.
    func testChannelsPackedAtATime() throws {
        var random = TestRandom(41)
        for (c, k, size, r) in [(45, 37, 9, 3), (64, 96, 7, 3), (70, 150, 5, 1)] {
            let shape = try XCTUnwrap(rk_conv_shape(h: size, w: size, c: c, k: k, r: r, s: r))
            let weight = random.floats(shape.weightCount)
            let factors = random.floats(k).map { Double($0) + 1.5 }
            for isa in fastSets {
                for algorithm in [RK_CONV_DIRECT, RK_CONV_WINOGRAD_F2, RK_CONV_WINOGRAD_F4] {
                    guard let plan = shape.plan(RK_CONV_FORWARD, algorithm, isa) else {
                        XCTAssert(r == 1 && algorithm != RK_CONV_DIRECT)
                        continue
                    }
                    XCTAssertEqual(withUnsafePointer(to: plan) { rk_conv_packs_channels($0) }, 1)
                    for scale in [nil, factors] {
                        let dst = Floats(count: plan.packed_floats, repeating: .nan)
                        for (first, end) in [(0, 16), (16, 17), (17, c - 3), (c - 3, c)] {
                            let rows = weight.count / c / k
                            let part = (0..<rows).flatMap { weight[($0 * c + first) * k..<($0 * c + end) * k] }
                            pack(plan, part, scale, first: first, channels: end - first, into: dst, threads: 1)
                        }
                        assertSameBits(
                            dst.values, packed(plan, weight, scale, threads: 1), "algorithm \(algorithm.rawValue)")
                    }
                }
            }
        }
        let groups = try XCTUnwrap(rk_conv_shape(h: 9, w: 9, c: 40, k: 40, r: 3, s: 3, groups: 10))
        for (shape, pass) in [(groups, RK_CONV_FORWARD), (groups, RK_CONV_BACKWARD_DATA)] {
            let plan = try XCTUnwrap(shape.plan(pass, RK_CONV_DIRECT, RK_ISA_GENERIC))
            XCTAssertEqual(withUnsafePointer(to: plan) { rk_conv_packs_channels($0) }, 0)
        }
    }

    private func packed(_ plan: rk_conv_plan, _ weight: [Float], _ scale: [Double]?, threads: Int32) -> [Float] {
        let dst = Floats(count: plan.packed_floats, repeating: .nan)
        pack(plan, weight, scale, first: 0, channels: 0, into: dst, threads: threads)
        return dst.values
    }

    private func pack(
        _ plan: rk_conv_plan, _ weight: [Float], _ scale: [Double]?, first: Int, channels: Int, into dst: Floats,
        threads: Int32
    ) {
        let weight = Floats(weight)
        let factors = scale ?? []
        withUnsafePointer(to: plan) { plan in
            factors.withUnsafeBufferPointer { factors in
                let scale = scale == nil ? nil : factors.baseAddress
                runStep(
                    rk_conv_pack,
                    rk_conv_pack_args(
                        plan: plan, weight: weight.readable, packed: dst.pointer, scale: scale, first: Int64(first),
                        channels: Int64(channels)),
                    threads: threads)
            }
        }
    }

    func testNames() {
        let algorithms = [
            RK_CONV_AUTO, RK_CONV_REFERENCE, RK_CONV_DIRECT, RK_CONV_DEPTHWISE, RK_CONV_WINOGRAD_F2,
            RK_CONV_WINOGRAD_F4, RK_CONV_BF16, RK_CONV_STREAM, RK_CONV_STREAM_BF16,
            RK_CONV_GROUPED,
        ]
        let names = Set(algorithms.map { String(cString: rk_conv_algorithm_name($0)) })
        XCTAssertEqual(names.count, algorithms.count)
        XCTAssertEqual(String(cString: rk_conv_algorithm_name(rk_conv_algorithm(rawValue: 99))), "unknown")
    }
}
