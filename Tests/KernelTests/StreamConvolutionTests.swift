// StreamConvolutionTests: products of few pixels whose weights are read once, kept as f32 or bf16, against the reference twin; when they
// are chosen; the same bits of a pixel among any others.
// Not here: teams, epilogues and odd inputs (ConvolutionConditionTests), whole sessions (RengaExecutionTests).
import CRengaKernels
import XCTest

final class StreamConvolutionTests: XCTestCase {
    private func linear(_ n: Int, _ c: Int, _ k: Int) throws -> rk_conv_shape {
        try XCTUnwrap(rk_conv_shape(n: n, h: 1, w: 1, c: c, k: k, r: 1, s: 1))
    }

    /// Around the ends of panels, of blocks of lines, and of what a kernel takes at once.
    func testSizes() throws {
        for (i, c) in [1, 2, 3, 17, 255, 256, 257, 700].enumerated() {
            for k in [1, 5, 31, 32, 33, 63, 64, 65, 100] {
                var test = ConvolutionCase(
                    try linear(1 + (i + k) % 9, c, k), seed: i, epilogue: Epilogue(bias: i % 2 == 0))
                XCTAssertGreaterThanOrEqual(assertAllAgree(test, passes: [RK_CONV_FORWARD]), 3 * fastSets.count)
                test.type = RK_BF16
                assertAllAgree(test, passes: [RK_CONV_FORWARD])
            }
        }
    }

    func testMapsAndManyPixels() throws {
        let map = try XCTUnwrap(rk_conv_shape(n: 2, h: 5, w: 7, c: 19, k: 45, r: 1, s: 1))
        for shape in [map, try linear(64, 40, 33), try linear(65, 300, 40), try linear(131, 33, 70)] {
            for activation in [RK_ACTIVATION_PRELU, RK_ACTIVATION_CLIP, RK_ACTIVATION_HARD_SWISH] {
                let epilogue = Epilogue(bias: true, add: true, activation: activation)
                assertAllAgree(ConvolutionCase(shape, epilogue: epilogue), passes: [RK_CONV_FORWARD])
            }
        }
    }

    /// Sums as long as VGG's stay within the bound, also where nothing cancels.
    func testLongSums() throws {
        var test = ConvolutionCase(try linear(1, 25_088, 40), epilogue: Epilogue(bias: true))
        assertAllAgree(test, passes: [RK_CONV_FORWARD])
        test.src = test.src.map { 1000 + $0 }
        test.weight = test.weight.map { 0.5 + abs($0) }
        assertAllAgree(test, passes: [RK_CONV_FORWARD])
    }

    func testAPixelHasTheSameBitsAmongAnyOthers() throws {
        let (n, c, k) = (70, 261, 67)
        let all = ConvolutionCase(try linear(n, c, k), epilogue: Epilogue(bias: true))
        for isa in fastSets {
            for algorithm in [RK_CONV_STREAM, RK_CONV_STREAM_BF16] {
                let whole = try XCTUnwrap(all.result(RK_CONV_FORWARD, algorithm, isa))
                for (first, count) in [(0, 1), (0, 2), (1, 3), (63, 4), (66, 1), (5, 65)] {
                    var part = ConvolutionCase(try linear(count, c, k), epilogue: Epilogue(bias: true))
                    part.src = Array(all.src[first * c..<(first + count) * c])
                    (part.weight, part.bias) = (all.weight, all.bias)
                    assertSameBits(
                        try XCTUnwrap(part.result(RK_CONV_FORWARD, algorithm, isa)),
                        Array(whole[first * k..<(first + count) * k]), "\(isa.label), \(count) from \(first)")
                }
            }
        }
    }

    /// With weights that bf16 holds exactly both forms give the same bits: nothing but the weights is rounded.
    func testOnlyWeightsAreRounded() throws {
        var test = ConvolutionCase(try linear(3, 300, 45), epilogue: Epilogue(bias: true))
        test.weight = test.weight.map { Float(bitPattern: $0.bitPattern & 0xFFFF_0000) }
        for isa in fastSets {
            assertSameBits(
                try XCTUnwrap(test.result(RK_CONV_FORWARD, RK_CONV_STREAM_BF16, isa)),
                try XCTUnwrap(test.result(RK_CONV_FORWARD, RK_CONV_STREAM, isa)), isa.label)
        }
    }

    /// AVX-512 leaves out what repeats in exponents. The bits stay those of AVX2, which keeps weights whole, where every exponent has a
    /// code; else the weights without one come after the others.
    func testCompactWeights() throws {
        func pair(_ test: ConvolutionCase, _ algorithm: rk_conv_algorithm) throws -> ([Float], [Float])? {
            guard fastSets.contains(RK_ISA_AVX2), fastSets.contains(RK_ISA_AVX512) else { return nil }
            return (
                try XCTUnwrap(test.result(RK_CONV_FORWARD, algorithm, RK_ISA_AVX512)),
                try XCTUnwrap(test.result(RK_CONV_FORWARD, algorithm, RK_ISA_AVX2))
            )
        }
        for algorithm in [RK_CONV_STREAM, RK_CONV_STREAM_BF16] {
            for (c, k) in [(1, 1), (63, 32), (64, 33), (65, 31), (321, 64), (1000, 70)] {
                var test = ConvolutionCase(try linear(3, c, k), seed: c, epilogue: Epilogue(bias: true))
                // Both signs of zero, denormals and fifteen exponents in a row, down to the least and up to the largest there are.
                for lowest in [1, 100, 200] as [UInt32] {
                    test.weight = test.weight.enumerated().map { i, weight in
                        let mantissa = weight.bitPattern & 0x803F_FFFF
                        if i % 11 == 0 { return Float(bitPattern: mantissa & (i % 2 == 0 ? 0x8000_0000 : 0x8000_FFFF)) }
                        return Float(bitPattern: mantissa | (lowest + UInt32(i % 15)) << 23)
                    }
                    guard let (compact, whole) = try pair(test, algorithm) else { return }
                    assertSameBits(compact, whole, "\(algorithm.rawValue), \(c) x \(k) from \(lowest)")
                }
            }
        }
        // A few strays, far above and far below the others; and so many that the panel is kept whole.
        for every in [2, 97, 1009, 5003] {
            var test = ConvolutionCase(try linear(3, 900, 96), epilogue: Epilogue(bias: true))
            for i in stride(from: 0, to: test.weight.count, by: every) {
                test.weight[i] = i % 2 == 0 ? 1e-30 * test.weight[i] : 1e15 * test.weight[i]
            }
            assertAllAgree(test, passes: [RK_CONV_FORWARD])
            test.src[5] = .infinity
            test.weight[1009 * 3] = .nan
            guard let (compact, whole) = try pair(test, RK_CONV_STREAM) else { return }
            for (mine, other) in zip(compact, whole) {
                XCTAssertEqual(mine.isNaN, other.isNaN)
                if other.isInfinite || mine.isInfinite { XCTAssertEqual(mine, other) }
            }
        }
    }

    func testChosenForFewPixelsAndManyWeights() throws {
        for isa in fastSets {
            func choice(
                _ n: Int, _ c: Int, _ k: Int, _ pass: rk_conv_pass = RK_CONV_FORWARD
            ) throws -> rk_conv_algorithm? {
                try linear(n, c, k).plan(pass, RK_CONV_AUTO, isa)?.algorithm
            }
            XCTAssertEqual(try choice(1, 25_088, 4096), RK_CONV_STREAM)
            XCTAssertEqual(try choice(4, 2048, 1000), RK_CONV_STREAM)
            XCTAssertEqual(try choice(5, 2048, 1000), RK_CONV_DIRECT)
            XCTAssertEqual(try choice(1, 512, 100), RK_CONV_DIRECT)
            XCTAssertEqual(try choice(1, 4096, 4096, RK_CONV_BACKWARD_DATA), RK_CONV_DIRECT)
        }
    }

    /// Weights under bf16 maps are bf16 in any case.
    func testChosenUnderHalfMaps() throws {
        for isa in halfSets {
            func choice(_ n: Int, _ c: Int, _ k: Int) throws -> rk_conv_algorithm? {
                try linear(n, c, k).plan(RK_CONV_FORWARD, RK_CONV_AUTO, isa, type: RK_BF16)?.algorithm
            }
            let tiles = isa.rawValue >= RK_ISA_AVX512_BF16.rawValue ? RK_CONV_BF16 : RK_CONV_DIRECT
            XCTAssertEqual(try choice(1, 25_088, 4096), RK_CONV_STREAM_BF16)
            XCTAssertEqual(try choice(4, 2048, 1000), RK_CONV_STREAM_BF16)
            XCTAssertEqual(try choice(5, 2048, 1000), tiles)
            XCTAssertEqual(try choice(1, 512, 100), tiles)
        }
    }

    func testPlans() throws {
        let refused = [
            rk_conv_shape(h: 3, w: 3, c: 8, k: 8, r: 3, s: 3, pads: (1, 1, 1, 1)),
            rk_conv_shape(h: 4, w: 4, c: 8, k: 8, r: 1, s: 1, stride: (2, 2)),
            rk_conv_shape(h: 4, w: 4, c: 8, k: 8, r: 1, s: 1, pads: (0, 1, 0, 0)),
            rk_conv_shape(h: 1, w: 1, c: 8, k: 8, r: 1, s: 1, groups: 2),
        ].compactMap { $0 }
        XCTAssertEqual(refused.count, 4)
        let shape = try linear(1, 100, 96)
        for algorithm in [RK_CONV_STREAM, RK_CONV_STREAM_BF16] {
            for isa in fastSets {
                for shape in refused { XCTAssertNil(shape.plan(RK_CONV_FORWARD, algorithm, isa), shape.label) }
                XCTAssertNil(shape.plan(RK_CONV_BACKWARD_DATA, algorithm, isa))
                XCTAssertNil(shape.plan(RK_CONV_BACKWARD_WEIGHT, algorithm, isa))
                let floats = try XCTUnwrap(shape.plan(RK_CONV_FORWARD, algorithm, isa)).packed_floats
                XCTAssertEqual(floats, 3 * 32 + (algorithm == RK_CONV_STREAM ? 9600 : 4800))
            }
            XCTAssertNil(shape.plan(RK_CONV_FORWARD, algorithm, RK_ISA_REFERENCE))
        }
    }
}
