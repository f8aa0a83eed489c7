// OptimizerTests: SGD, AdamW and the sum of squares against their twins, by hand and in ranges.
import CRengaKernels
import XCTest

final class OptimizerTests: XCTestCase {
    /// Parameters that are not in any range must stay, a frozen range too.
    private static let ranges = [
        rk_parameter_range(begin: 3, end: 20, weight_decay: 0.1, rate_scale: 1),
        rk_parameter_range(begin: 20, end: 41, weight_decay: 0, rate_scale: 0.5),
        rk_parameter_range(begin: 41, end: 50, weight_decay: 0.1, rate_scale: 0),
        rk_parameter_range(begin: 60, end: 5063, weight_decay: 0.01, rate_scale: 1),
    ]
    private static let count = 5070

    private func sgd(
        _ isa: rk_isa, nesterov: Bool, momentum: Float, steps: Int, threads: Int32 = 1,
        ranges: [rk_parameter_range] = ranges
    ) -> [Float] {
        var random = TestRandom(11)
        let parameter = Floats(random.floats(Self.count))
        let gradients = (0..<steps).map { _ in Floats(random.floats(Self.count)) }
        let velocity = Floats(count: Self.count, repeating: 0)
        let (rate, scale) = (Floats([0.1]), Floats([0.8]))
        let held = Guarded<rk_parameter_range>(ranges)
        for gradient in gradients {
            let arguments = rk_sgd_args(
                isa: isa, ranges: held.readable, range_count: Int64(ranges.count), gradient: gradient.readable,
                parameter: parameter.pointer, velocity: momentum == 0 ? nil : velocity.pointer, rate: rate.readable,
                gradient_scale: scale.readable, momentum: momentum, nesterov: nesterov ? 1 : 0)
            runStep(rk_sgd, arguments, threads: threads)
        }
        assertIntact([parameter, velocity, rate, scale] + gradients)
        assertIntact([held])
        return parameter.values + velocity.values
    }

    private func adamw(_ isa: rk_isa, steps: Int, threads: Int32 = 1) -> [Float] {
        var random = TestRandom(12)
        let parameter = Floats(random.floats(Self.count))
        let gradients = (0..<steps).map { _ in Floats(random.floats(Self.count)) }
        let (first, second) = (Floats(count: Self.count, repeating: 0), Floats(count: Self.count, repeating: 0))
        let rate = Floats([0.01])
        let held = Guarded<rk_parameter_range>(Self.ranges)
        for (i, gradient) in gradients.enumerated() {
            let step = Guarded<Int64>([Int64(i + 1)])
            let arguments = rk_adamw_args(
                isa: isa, ranges: held.readable, range_count: Int64(Self.ranges.count), gradient: gradient.readable,
                parameter: parameter.pointer, first: first.pointer, second: second.pointer, rate: rate.readable,
                gradient_scale: nil, step: step.readable, beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
            runStep(rk_adamw, arguments, threads: threads)
            assertIntact([step])
        }
        assertIntact([parameter, first, second, rate] + gradients)
        assertIntact([held])
        return parameter.values + first.values + second.values
    }

    func testSGDMatchesTheTwinOnAnyTeam() {
        for (nesterov, momentum) in [(false, Float(0)), (false, 0.9), (true, 0.9)] {
            let twin = sgd(RK_ISA_REFERENCE, nesterov: nesterov, momentum: momentum, steps: 4)
            for isa in fastSets {
                let found = sgd(isa, nesterov: nesterov, momentum: momentum, steps: 4)
                assertClose(found, twin, 1e-6, "\(isa.label) nesterov \(nesterov)")
                for threads in teamSizes.dropFirst() {
                    let again = sgd(isa, nesterov: nesterov, momentum: momentum, steps: 4, threads: threads)
                    assertSameBits(again, found, "\(isa.label) \(threads)")
                }
            }
        }
    }

    func testAdamWMatchesTheTwinOnAnyTeam() {
        let twin = adamw(RK_ISA_REFERENCE, steps: 4)
        for isa in fastSets {
            let found = adamw(isa, steps: 4)
            assertClose(found, twin, 2e-6, isa.label)
            for threads in teamSizes.dropFirst() {
                assertSameBits(adamw(isa, steps: 4, threads: threads), found, isa.label)
            }
        }
    }

    func testOnlyTheRangesMove() {
        for isa in supportedSets {
            for found in [sgd(isa, nesterov: true, momentum: 0.9, steps: 2), adamw(isa, steps: 2)] {
                let before = found.count == 2 * Self.count ? TestRandom(11) : TestRandom(12)
                var random = before
                let initial = random.floats(Self.count)
                for i in 0..<Self.count {
                    let moves = (3..<41).contains(i) || (60..<5063).contains(i)
                    XCTAssertEqual(found[i] != initial[i], moves, "\(isa.label) parameter \(i)")
                    if !moves { XCTAssertEqual(found[Self.count + i], 0, "\(isa.label) state \(i)") }
                }
            }
        }
    }

    /// One parameter through PyTorch's formulas, by hand.
    func testOneParameterByHand() {
        let range = Guarded([rk_parameter_range(begin: 0, end: 1, weight_decay: 0.5, rate_scale: 1)])
        for isa in supportedSets {
            let (p, v, g, rate) = (Floats([2]), Floats([0]), Floats([1]), Floats([0.1]))
            var arguments = rk_sgd_args()
            (arguments.isa, arguments.ranges, arguments.range_count) = (isa, range.readable, 1)
            (arguments.gradient, arguments.parameter, arguments.velocity) = (g.readable, p.pointer, v.pointer)
            (arguments.rate, arguments.momentum, arguments.nesterov) = (rate.readable, 0.9, 1)
            runStep(rk_sgd, arguments)
            // g = 1 + 0.5 * 2 = 2; v = 2; p = 2 - 0.1 (2 + 0.9 * 2)
            assertClose(p.values + v.values, [1.62, 2], 1e-6, isa.label)
            let (q, m, s, t) = (Floats([2]), Floats([0]), Floats([0]), Guarded<Int64>([1]))
            var adam = rk_adamw_args()
            (adam.isa, adam.ranges, adam.range_count, adam.gradient) = (isa, range.readable, 1, g.readable)
            (adam.parameter, adam.first, adam.second) = (q.pointer, m.pointer, s.pointer)
            (adam.rate, adam.step, adam.beta1, adam.beta2, adam.epsilon) = (rate.readable, t.readable, 0.9, 0.99, 1e-8)
            runStep(rk_adamw, adam)
            // The first step moves by the rate, whatever the gradient's size: p = 2 (1 - 0.1 * 0.5) - 0.1
            assertClose(q.values + m.values + s.values, [1.8, 0.1, 0.01], 1e-6, isa.label)
            assertIntact([p, v, g, rate, q, m, s])
            XCTAssertTrue(range.isIntact && t.isIntact)
        }
    }

    func testSquareSumOnAnyTeam() {
        for count in [0, 1, 7, 8, 9, 4095, 4096, 4097, 50_021] {
            var random = TestRandom(count)
            let values = random.floats(count)
            let expected = values.reduce(0) { $0 + Double($1) * Double($1) }
            var first: Double?
            for threads in teamSizes {
                let (x, result) = (Floats(values), Guarded<Double>([-1]))
                let scratch = Guarded<Double>(count: rk_square_sum_scratch(Int64(count)), repeating: .nan)
                let arguments = rk_square_sum_args(
                    count: Int64(count), src: x.readable, result: result.pointer, scratch: scratch.pointer)
                runStep(rk_square_sum, arguments, threads: threads)
                XCTAssertTrue(x.isIntact && result.isIntact && scratch.isIntact)
                XCTAssertEqual(result.values[0], expected, accuracy: 1e-12 * max(1, expected))
                XCTAssertEqual(result.values[0], first ?? result.values[0], "\(threads) threads")
                first = result.values[0]
            }
        }
    }
}
