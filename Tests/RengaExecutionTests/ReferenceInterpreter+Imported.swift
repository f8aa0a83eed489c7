// ReferenceInterpreter+Imported.swift: what the operators mean that imported networks bring: in double precision, with plain loops.
import Glibc
import RengaNetwork

extension ReferenceInterpreter {
    /// dst by those operators; NaN by an operator that is not known.
    func evaluateImported(
        _ node: Node, _ inputs: [ReferenceMap], _ dst: inout ReferenceMap, _ parameter: (String) -> [Double]?
    ) {
        let (src, shape) = (inputs[0], dst.shape)
        switch node.op {
        case let op as Activation: dst.values = src.values.map { Self.activated(op, $0) }
        case let op as Arithmetic:
            fill(&dst) { n, y, x, c in
                let pair = inputs.map { map in
                    map.at(
                        n, map.shape.h == 1 ? 0 : y, map.shape.w == 1 ? 0 : x, map.shape.c == 1 ? 0 : c)
                }
                return Self.combined(op.function, pair[0], pair[1])
            }
        case is Scale:
            let (gamma, beta) = (parameter("gamma") ?? [], parameter("beta") ?? [])
            fill(&dst) { n, y, x, c in gamma[c] * src.at(n, y, x, c) + beta[c] }
        case let op as ConvolutionTranspose:
            transposeConvolve(src, &dst, op, parameter("weight") ?? [], parameter("bias"))
        case let op as LocalResponseNorm:
            fill(&dst) { n, y, x, c in
                let first = max(c - (op.size - 1) / 2, 0), last = min(c + op.size / 2, shape.c - 1)
                let squares = (first...last).reduce(0) { $0 + src.at(n, y, x, $1) * src.at(n, y, x, $1) }
                return src.at(n, y, x, c) / pow(op.bias + op.alpha / Double(op.size) * squares, op.beta)
            }
        case is GlobalMaxPool:
            fill(&dst) { n, _, _, c in
                (0..<src.shape.h).flatMap { y in (0..<src.shape.w).map { src.at(n, y, $0, c) } }.max() ?? .nan
            }
        case let op as Pad:
            fill(&dst) { n, y, x, c in
                guard let row = op.source(of: y, op.h, size: src.shape.h),
                    let column = op.source(of: x, op.w, size: src.shape.w),
                    let channel = op.source(of: c, op.c, size: src.shape.c)
                else { return op.value }
                return src.at(n, row, column, channel)
            }
        case let op as Slice:
            func places(_ range: Slice.Range, _ size: Int) -> [Int] {
                let (first, count) = range.resolved(size: size)
                return (0..<count).map { first + $0 * range.step }
            }
            let rows = places(op.h, src.shape.h), columns = places(op.w, src.shape.w)
            let channels = places(op.c, src.shape.c)
            fill(&dst) { n, y, x, c in src.at(n, rows[y], columns[x], channels[c]) }
        case let op as Resize: resize(src, &dst, op)
        default: dst.values = dst.values.map { _ in .nan }
        }
    }

    private func fill(_ dst: inout ReferenceMap, _ value: (Int, Int, Int, Int) -> Double) {
        let shape = dst.shape
        for index in dst.values.indices {
            let (row, c) = (index / shape.c, index % shape.c)
            dst.values[index] = value(row / shape.w / shape.h, row / shape.w % shape.h, row % shape.w, c)
        }
    }

    private static func activated(_ op: Activation, _ x: Double) -> Double {
        func clipped(_ x: Double, _ low: Double, _ high: Double) -> Double { min(max(x, low), high) }
        switch op.function {
        case .sigmoid: return 1 / (1 + exp(-x))
        case .tanh: return tanh(x)
        case .leakyReLU: return x > 0 ? x : op.alpha * x
        case .clip: return clipped(x, op.alpha, op.beta)
        case .hardSigmoid: return clipped(op.alpha * x + op.beta, 0, 1)
        case .hardSwish: return x * clipped(x / 6 + 0.5, 0, 1)
        case .elu: return x > 0 ? x : op.alpha * (exp(x) - 1)
        case .softplus: return log(1 + exp(x))
        case .silu: return x / (1 + exp(-x))
        }
    }

    private static func combined(_ function: Arithmetic.Function, _ a: Double, _ b: Double) -> Double {
        switch function {
        case .multiply: a * b
        case .add: a + b
        case .subtract: a - b
        case .divide: a / b
        case .maximum: max(a, b)
        case .minimum: min(a, b)
        }
    }

    /// Each element of src is spread over the places that its taps reach.
    private func transposeConvolve(
        _ src: ReferenceMap, _ dst: inout ReferenceMap, _ op: ConvolutionTranspose, _ weight: [Double],
        _ bias: [Double]?
    ) {
        let (window, shape) = (op.window, dst.shape)
        let (c, k) = (src.shape.c, shape.c / op.groups)
        fill(&dst) { _, _, _, channel in bias?[channel] ?? 0 }
        for index in src.values.indices {
            let (row, channel) = (index / c, index % c)
            let (x, y, n) = (row % src.shape.w, row / src.shape.w % src.shape.h, row / src.shape.w / src.shape.h)
            let group = channel / (c / op.groups)
            for r in 0..<window.kernelH {
                for s in 0..<window.kernelW {
                    let up = y * window.strideH - window.padTop + r * window.dilationH
                    let left = x * window.strideW - window.padLeft + s * window.dilationW
                    guard up >= 0, up < shape.h, left >= 0, left < shape.w else { continue }
                    for i in 0..<k {
                        dst.values[((n * shape.h + up) * shape.w + left) * shape.c + group * k + i] +=
                            src.values[index] * weight[((r * window.kernelW + s) * k + i) * c + channel]
                    }
                }
            }
        }
    }

    /// Linear by hats and nearest by rounding, at half pixels or aligned corners; the rest is for the golden vectors to say.
    private func resize(_ src: ReferenceMap, _ dst: inout ReferenceMap, _ op: Resize) {
        let (from, to) = (src.shape, dst.shape)
        func weights(_ i: Int, _ size: Int, _ result: Int) -> [(Int, Double)] {
            var place = (Double(i) + 0.5) * Double(size) / Double(result) - 0.5
            if op.coordinates == .alignCorners {
                place = result == 1 ? 0 : Double(i) * Double(size - 1) / Double(result - 1)
            }
            let inside = min(max(place, 0), Double(size - 1))
            if op.mode == .nearest { return [(Int((inside - 0.5).rounded(.up)), 1)] }
            return (0..<size).map { ($0, max(1 - abs(Double($0) - inside), 0)) }
        }
        fill(&dst) { n, y, x, c in
            weights(y, from.h, to.h).reduce(0) { sum, row in
                sum + weights(x, from.w, to.w).reduce(0) { $0 + row.1 * $1.1 * src.at(n, row.0, $1.0, c) }
            }
        }
    }
}
