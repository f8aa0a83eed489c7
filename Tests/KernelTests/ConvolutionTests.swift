// ConvolutionTests: every algorithm, pass and instruction set against the reference twin, over sizes that step through
// tile tails.
// Not here: teams, epilogues and odd inputs (ConvolutionConditionTests), identities (ConvolutionIdentityTests), plans
// (ConvolutionPlanTests).
import CRengaKernels
import XCTest

final class ConvolutionTests: XCTestCase {
    /// One case for each (r, s, ...) with the other sizes drawn, reproducibly, from lists that step through the tails.
    private func sweep(_ count: Int, seed: Int, _ shape: (inout TestRandom) -> rk_conv_shape?) {
        var random = TestRandom(seed)
        var (made, compared) = (0, 0)
        while made < count {
            guard let shape = shape(&random) else { continue }
            made += 1
            let epilogue = Epilogue(bias: random.index(2) == 0)
            compared += assertAllAgree(ConvolutionCase(shape, seed: made, epilogue: epilogue))
        }
        XCTAssertGreaterThanOrEqual(compared, 3 * count * fastSets.count, "a pass had no fast algorithm")
    }

    private static let sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17, 19, 23]
    private static let channels = [
        1, 2, 3, 4, 5, 7, 8, 11, 13, 15, 16, 17, 19, 23, 31, 32, 33, 37, 47, 48, 49, 53, 64, 67,
    ]

    private func pick(_ list: [Int], _ random: inout TestRandom) -> Int { list[random.index(list.count)] }

    func testAnyFilterStridePadAndDilation() {
        sweep(60, seed: 1) { random in
            rk_conv_shape(
                n: 1 + random.index(2), h: pick(Self.sizes, &random), w: pick(Self.sizes, &random),
                c: pick([1, 2, 3, 5, 8, 13, 17], &random), k: pick(Self.channels, &random), r: 1 + random.index(7),
                s: 1 + random.index(7),
                stride: (1 + random.index(3), 1 + random.index(3)),
                pads: (random.index(4), random.index(4), random.index(4), random.index(4)),
                dilation: (1 + random.index(2), 1 + random.index(2)))
        }
    }

    /// Every width of a panel's tail: 1 ... 67 outputs, and as many channels for the passes that exchange them.
    func testChannelTails() {
        for k in 1...67 {
            guard let wide = rk_conv_shape(h: 3, w: 5, c: 3, k: k, r: 2, s: 3, pads: (0, 1, 1, 1)),
                let deep = rk_conv_shape(h: 4, w: 3, c: k, k: 5, r: 2, s: 2, stride: (2, 1), pads: (1, 0, 0, 1))
            else { return XCTFail("no shape") }
            assertAllAgree(ConvolutionCase(wide, seed: k))
            assertAllAgree(ConvolutionCase(deep, seed: k))
        }
    }

    /// Every width of a tile's tail, in one row and in two.
    func testMapWidths() {
        for w in 1...31 {
            guard let shape = rk_conv_shape(n: 2, h: 3, w: w, c: 5, k: 17, r: 3, s: 3, pads: (1, 1, 1, 1)) else {
                continue
            }
            assertAllAgree(ConvolutionCase(shape, seed: w))
        }
    }

    func testThreeByThree() {
        sweep(30, seed: 2) { random in
            let pads = (random.index(3), random.index(3), random.index(3), random.index(3))
            return rk_conv_shape(
                n: 1 + random.index(3), h: pick(Self.sizes, &random), w: pick(Self.sizes, &random),
                c: pick(Self.channels, &random),
                k: pick(Self.channels, &random), r: 3, s: 3, pads: random.index(3) == 0 ? pads : (1, 1, 1, 1))
        }
    }

    func testPointwiseAndLinear() {
        sweep(24, seed: 3) { random in
            let stride = random.index(3) == 0 ? (2, 2) : (1, 1)
            let size = random.index(3) == 0 ? 1 : pick(Self.sizes, &random)
            return rk_conv_shape(
                n: 1 + random.index(20), h: size, w: size == 1 ? 1 : pick(Self.sizes, &random),
                c: pick(Self.channels, &random),
                k: pick(Self.channels, &random), r: 1, s: 1, stride: stride)
        }
    }

    func testGroups() {
        sweep(24, seed: 4) { random in
            let groups = 2 + random.index(6)
            return rk_conv_shape(
                n: 1 + random.index(2), h: pick(Self.sizes, &random), w: pick(Self.sizes, &random),
                c: groups * (1 + random.index(5)),
                k: groups * (1 + random.index(19)), r: 1 + random.index(3), s: 1 + random.index(3),
                stride: (1 + random.index(2), 1 + random.index(2)), pads: (1, 1, 1, 1), groups: groups)
        }
    }

    func testDepthwiseWithAndWithoutMultiplier() {
        sweep(30, seed: 5) { random in
            let channels = pick(Self.channels, &random)
            return rk_conv_shape(
                n: 1 + random.index(2), h: pick(Self.sizes, &random), w: pick(Self.sizes, &random), c: channels,
                k: channels * (random.index(3) == 0 ? 2 : 1), r: 1 + random.index(5), s: 1 + random.index(5),
                stride: (1 + random.index(3), 1 + random.index(3)),
                pads: (random.index(3), random.index(3), random.index(3), random.index(3)),
                dilation: (1 + random.index(2), 1 + random.index(2)), groups: channels)
        }
    }

    /// Sums longer than a block of lines, weights of several blocks, rows wider than a band.
    func testBeyondOneBlock() {
        let shapes = [
            rk_conv_shape(n: 3, h: 1, w: 1, c: 4500, k: 21, r: 1, s: 1),
            rk_conv_shape(n: 1, h: 2, w: 2, c: 700, k: 40, r: 3, s: 3, pads: (1, 1, 1, 1)),
            rk_conv_shape(n: 2, h: 5, w: 5, c: 150, k: 140, r: 3, s: 3, pads: (1, 1, 1, 1)),
            rk_conv_shape(n: 1, h: 2, w: 3001, c: 2, k: 3, r: 1, s: 3, pads: (0, 1, 0, 1)),
            rk_conv_shape(n: 40, h: 2, w: 2, c: 6, k: 9, r: 2, s: 2, pads: (0, 0, 1, 1)),
            rk_conv_shape(n: 2, h: 5, w: 9, c: 16, k: 16, r: 3, s: 3, pads: (5, 6, 3, 4)),
            rk_conv_shape(n: 2, h: 5, w: 9, c: 8, k: 4, r: 3, s: 3, pads: (3, 4, 7, 5)),
        ]
        for shape in shapes.compactMap({ $0 }) {
            assertAllAgree(ConvolutionCase(shape, epilogue: Epilogue(bias: true)))
        }
    }
}
