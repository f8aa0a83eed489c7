// ConvolutionTestSupport: one convolution as the tests run it: its shape, its data, any pass by any algorithm between
// guarded buffers.
// Not here: what is expected of it.
import CRengaKernels
import XCTest

let convolutionPasses: [rk_conv_pass] = [RK_CONV_FORWARD, RK_CONV_BACKWARD_DATA, RK_CONV_BACKWARD_WEIGHT]

/// Every algorithm but the reference twin.
let fastAlgorithms: [rk_conv_algorithm] = [
    RK_CONV_DIRECT, RK_CONV_DEPTHWISE, RK_CONV_WINOGRAD_F2, RK_CONV_WINOGRAD_F4, RK_CONV_BF16,
    RK_CONV_STREAM, RK_CONV_STREAM_BF16, RK_CONV_GROUPED,
]

extension rk_conv_shape {
    /// A shape by its sizes; `pads` are top, left, bottom, right. Nil where the output would be empty.
    init?(
        n: Int = 1, h: Int, w: Int, c: Int, k: Int, r: Int, s: Int, stride: (Int, Int) = (1, 1),
        pads: (Int, Int, Int, Int) = (0, 0, 0, 0), dilation: (Int, Int) = (1, 1), groups: Int = 1
    ) {
        let roomH = h + pads.0 + pads.2 - dilation.0 * (r - 1) - 1
        let roomW = w + pads.1 + pads.3 - dilation.1 * (s - 1) - 1
        guard roomH >= 0, roomW >= 0 else { return nil }
        self.init()
        (self.n, self.h, self.w, self.c, self.k) = (Int64(n), Int64(h), Int64(w), Int64(c), Int64(k))
        (self.r, self.s, self.groups) = (Int64(r), Int64(s), Int64(groups))
        (stride_h, stride_w) = (Int64(stride.0), Int64(stride.1))
        (pad_top, pad_left, pad_bottom, pad_right) = (Int64(pads.0), Int64(pads.1), Int64(pads.2), Int64(pads.3))
        (dilation_h, dilation_w) = (Int64(dilation.0), Int64(dilation.1))
        (oh, ow) = (Int64(roomH / stride.0 + 1), Int64(roomW / stride.1 + 1))
    }

    var label: String {
        "\(n)x\(h)x\(w)x\(c) by \(r)x\(s) to \(oh)x\(ow)x\(k), stride \(stride_h) \(stride_w), "
            + "pads \(pad_top) \(pad_left) \(pad_bottom) \(pad_right), dilation \(dilation_h) \(dilation_w), "
            + "\(groups) groups"
    }

    var sourceCount: Int { Int(n * h * w * c) }
    var outputCount: Int { Int(n * oh * ow * k) }
    var weightCount: Int { Int(r * s * (c / groups) * k) }

    func plan(
        _ pass: rk_conv_pass, _ algorithm: rk_conv_algorithm, _ isa: rk_isa, threads: Int32 = 2, type: rk_type = RK_F32
    ) -> rk_conv_plan? {
        var plan = rk_conv_plan()
        let result = withUnsafePointer(to: self) { rk_conv_plan_init(&plan, $0, pass, type, algorithm, isa, threads) }
        return result == 0 ? plan : nil
    }
}

/// What follows the products of a forward pass, or is added to those of backward-data.
struct Epilogue {
    var bias = false
    var add = false
    var addInPlace = false
    var activation = RK_ACTIVATION_NONE
    /// The largest of each 2x2 pixels, where the algorithm can.
    var pool = false
    /// What is added has only so many channels, where the algorithm can.
    var fewer: Int?
    /// The mean of what is added and `second` is added, where the algorithm can.
    var mean = false
    var secondInPlace = false
}

/// The data of one convolution and its passes.
struct ConvolutionCase {
    var shape: rk_conv_shape
    var src: [Float]
    var weight: [Float]
    var ddst: [Float]
    var bias: [Float]
    var slope: [Float]
    var addToOutput: [Float]
    var second: [Float]
    var addToSource: [Float]
    var epilogue = Epilogue()
    /// Off the alignment, as slices of a host's arrays are; or on it, as Renga's own buffers are.
    var misaligned = true
    /// Of all maps.
    var type = RK_F32

    init(_ shape: rk_conv_shape, seed: Int = 1, epilogue: Epilogue = Epilogue()) {
        self.shape = shape
        self.epilogue = epilogue
        src = Self.numbers(shape.sourceCount, seed)
        weight = Self.numbers(shape.weightCount, seed + 1)
        ddst = Self.numbers(shape.outputCount, seed + 2)
        bias = Self.numbers(Int(shape.k), seed + 3)
        slope = Self.numbers(Int(shape.k), seed + 4)
        addToOutput = Self.numbers(shape.outputCount, seed + 5)
        addToSource = Self.numbers(shape.sourceCount, seed + 6)
        second = Self.numbers(shape.outputCount, seed + 7)
    }

    /// Drawing numbers is slow in debug builds: they are slices of one pool.
    private static let pool: [Float] = {
        var random = TestRandom(11)
        return random.floats(1 << 18)
    }()

    private static func numbers(_ count: Int, _ seed: Int) -> [Float] {
        var result: [Float] = []
        result.reserveCapacity(count)
        var start = (seed &* 7919) % (pool.count / 2)
        while result.count < count {
            let part = min(count - result.count, pool.count - start)
            result += pool[start..<start + part]
            start = 0
        }
        return result
    }

    /// The result of a pass: dst, dsrc, or dweight followed by dbias. Nil where the algorithm does not apply.
    ///
    /// All buffers are guarded and, but for those of Renga's own, off the alignment; scratch and results start as NaN.
    func result(
        _ pass: rk_conv_pass, _ algorithm: rk_conv_algorithm, _ isa: rk_isa, threads: Int32 = 2, team: Int32? = nil
    ) -> [Float]? {
        guard let plan = shape.plan(pass, algorithm, isa, threads: threads, type: type) else { return nil }
        return withUnsafePointer(to: plan) { run(pass, $0, team ?? threads) }
    }

    private func run(_ pass: rk_conv_pass, _ plan: UnsafePointer<rk_conv_plan>, _ team: Int32) -> [Float] {
        let weights = Floats(weight, misaligned: misaligned)
        let scratch = Floats(count: plan.pointee.scratch_floats, repeating: .nan)
        let packed = Floats(count: plan.pointee.packed_floats, repeating: .nan)
        if plan.pointee.packed_floats > 0 {
            runStep(
                rk_conv_pack,
                rk_conv_pack_args(
                    plan: plan, weight: weights.readable, packed: packed.pointer, scale: nil, first: 0, channels: 0),
                threads: team)
        }
        let ready = plan.pointee.packed_floats > 0 ? packed : weights
        var results: [Float]
        switch pass {
        case RK_CONV_FORWARD: results = forward(plan, ready, scratch, team)
        case RK_CONV_BACKWARD_DATA: results = backwardData(plan, ready, scratch, team)
        default: results = backwardWeight(plan, scratch, team)
        }
        assertIntact([weights, scratch, packed], "\(shape.label), pass \(pass.rawValue)")
        return results
    }

    private func forward(_ plan: UnsafePointer<rk_conv_plan>, _ packed: Floats, _ scratch: Floats, _ team: Int32)
        -> [Float]
    {
        let source = map(src)
        let pools = epilogue.pool && plan.pointee.pools != 0
        let count = pools ? Int(shape.n * (shape.oh / 2) * (shape.ow / 2) * shape.k) : shape.outputCount
        let dst =
            epilogue.addInPlace ? map(addToOutput) : epilogue.secondInPlace ? map(self.second) : unset(count)
        let (k, c) = (Int(shape.k), epilogue.fewer ?? Int(shape.k))
        let added = addToOutput.enumerated().filter { $0.offset % k < c }.map(\.element)
        let (bias, add) = (Floats(self.bias, misaligned: misaligned), map(added))
        let second = map(self.second)
        let slope = Floats(epilogue.activation == RK_ACTIVATION_CLIP ? [-1, 20] : self.slope)
        let before = source.values
        runStep(
            rk_conv_forward,
            rk_conv_forward_args(
                plan: plan, src: source.readable, packed: packed.readable, bias: epilogue.bias ? bias.readable : nil,
                add: epilogue.addInPlace ? dst.readable : epilogue.add ? add.readable : nil,
                second: !epilogue.mean ? nil : epilogue.secondInPlace ? dst.readable : second.readable,
                add_c: Int64(epilogue.fewer ?? 0), slope: slope.readable, activation: epilogue.activation,
                pool: pools ? 1 : 0, dst: dst.pointer, scratch: scratch.pointer),
            threads: team)
        assertIntact([source, add, second, dst], shape.label)
        assertIntact([bias, slope], shape.label)
        XCTAssertTrue(source.values == before || src.contains { $0.isNaN }, "source changed: \(shape.label)")
        return dst.values
    }

    private func backwardData(_ plan: UnsafePointer<rk_conv_plan>, _ packed: Floats, _ scratch: Floats, _ team: Int32)
        -> [Float]
    {
        let (gradient, add) = (map(ddst), map(addToSource))
        let dsrc = epilogue.addInPlace ? map(addToSource) : unset(shape.sourceCount)
        runStep(
            rk_conv_backward_data,
            rk_conv_backward_data_args(
                plan: plan, ddst: gradient.readable, packed: packed.readable,
                add: epilogue.addInPlace ? dsrc.readable : epilogue.add ? add.readable : nil, dsrc: dsrc.pointer,
                scratch: scratch.pointer), threads: team)
        assertIntact([gradient, add, dsrc], shape.label)
        return dsrc.values
    }

    private func backwardWeight(_ plan: UnsafePointer<rk_conv_plan>, _ scratch: Floats, _ team: Int32) -> [Float] {
        let (source, gradient) = (map(src), map(ddst))
        let dweight = Floats(count: shape.weightCount, repeating: .nan, misaligned: misaligned)
        let dbias = Floats(count: Int(shape.k), repeating: .nan, misaligned: misaligned)
        runStep(
            rk_conv_backward_weight,
            rk_conv_backward_weight_args(
                plan: plan, src: source.readable, ddst: gradient.readable, dweight: dweight.pointer,
                dbias: epilogue.bias ? dbias.pointer : nil, scratch: scratch.pointer), threads: team)
        assertIntact([source, gradient], shape.label)
        assertIntact([dweight, dbias], shape.label)
        return epilogue.bias ? dweight.values + dbias.values : dweight.values
    }

    private func map(_ values: [Float]) -> TestMap { TestMap(values, type, misaligned: misaligned) }
    private func unset(_ count: Int) -> TestMap { TestMap(count: count, type, repeating: .nan, misaligned: misaligned) }
}

/// The largest difference relative to the root mean square of what is expected; infinite where only one side is NaN.
/// `rounding`: what a result may be off in relation to itself beyond that, as where it was rounded to bf16.
func worstOfRMS(_ found: [Float], _ expected: [Float], rounding: Double = 0) -> Double {
    guard found.count == expected.count else { return .infinity }
    var (squares, worst) = (0.0, 0.0)
    found.withUnsafeBufferPointer { found in
        expected.withUnsafeBufferPointer { expected in
            for i in 0..<found.count {
                let (f, e) = (Double(found[i]), Double(expected[i]))
                if f == e || f.isNaN && e.isNaN {
                    squares += e.isNaN ? 0 : e * e
                    continue
                }
                squares += e * e
                worst = max(worst, (f - e).isNaN ? .infinity : abs(f - e) - rounding * abs(e))
            }
        }
    }
    let rms = (squares / Double(max(1, found.count))).squareRoot()
    return worst == 0 ? 0 : worst / rms
}

/// The error that an algorithm may make, relative to the root mean square of the result.
func bound(_ algorithm: rk_conv_algorithm, _ type: rk_type = RK_F32) -> Double {
    type == RK_BF16 || algorithm == RK_CONV_STREAM_BF16 ? 2.5e-2 : algorithm == RK_CONV_WINOGRAD_F4 ? 5e-5 : 1e-5
}

/// Compares every algorithm that applies, on every instruction set, with the reference twin.
@discardableResult
func assertAllAgree(
    _ test: ConvolutionCase, passes: [rk_conv_pass] = convolutionPasses, sets: [rk_isa] = fastSets,
    file: StaticString = #filePath,
    line: UInt = #line
)
    -> Int
{
    var compared = 0
    for pass in passes {
        guard let expected = test.result(pass, RK_CONV_REFERENCE, RK_ISA_REFERENCE) else {
            XCTFail("the reference twin refuses \(test.shape.label)", file: file, line: line)
            return compared
        }
        for isa in sets {
            for algorithm in fastAlgorithms {
                guard let found = test.result(pass, algorithm, isa) else { continue }
                // Two results on both sides of a rounding to bf16.
                let rounding = test.type == RK_BF16 && pass != RK_CONV_BACKWARD_WEIGHT ? 0x1p-7 : 0
                let worst = worstOfRMS(found, expected, rounding: rounding)
                compared += 1
                if !(worst <= bound(algorithm, test.type)) {
                    let name = String(cString: rk_conv_algorithm_name(algorithm))
                    XCTFail(
                        "\(name), \(isa.label), pass \(pass.rawValue), \(test.shape.label): \(worst)", file: file,
                        line: line)
                }
            }
        }
    }
    return compared
}

/// The largest of each 2x2 pixels of a result; NaN where one of them is.
func largest(_ whole: [Float], _ shape: rk_conv_shape) -> [Float] {
    let (h, w, k) = (Int(shape.oh), Int(shape.ow), Int(shape.k))
    var result: [Float] = []
    for n in 0..<Int(shape.n) {
        for y in 0..<h / 2 {
            for x in 0..<w / 2 {
                for c in 0..<k {
                    let four = [0, k, w * k, w * k + k].map { whole[((n * h + 2 * y) * w + 2 * x) * k + $0 + c] }
                    result.append(four.contains { $0.isNaN } ? .nan : four.max() ?? 0)
                }
            }
        }
    }
    return result
}
