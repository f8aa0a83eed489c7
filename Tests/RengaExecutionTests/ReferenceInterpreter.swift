// ReferenceInterpreter.swift: what every operator means, once more, in double precision and with plain loops: the yardstick for plans.
// Not here: anything fast, anything shared with the engine but the network's structure and shapes.
import Glibc
import RengaNetwork

/// A map in double precision.
struct ReferenceMap {
    var shape: Shape
    var values: [Double]

    init(_ shape: Shape, _ values: [Double]? = nil) {
        self.shape = shape
        self.values = values ?? [Double](repeating: 0, count: shape.count)
    }

    /// 0 outside the map.
    func at(_ n: Int, _ y: Int, _ x: Int, _ c: Int) -> Double {
        guard y >= 0, y < shape.h, x >= 0, x < shape.w else { return 0 }
        return values[((n * shape.h + y) * shape.w + x) * shape.c + c]
    }
}

/// Runs a network value by value. `training`: batch norms in train mode use the batch, dropout and gates apply `masks`.
struct ReferenceInterpreter {
    var network: Network
    var parameters: [String: [Double]]
    var training = false
    /// For each dropout or gate layer the factor of each element.
    var masks: [String: [Double]] = [:]

    init(_ network: Network) {
        self.network = network
        parameters = network.parameters.mapValues { $0.tensor.values.map(Double.init) }
    }

    /// All values of the network.
    func run(_ sources: [ReferenceMap]) throws -> [ReferenceMap] {
        let first = sources[0].shape
        let shapes = try network.shapes(n: first.n, h: first.h, w: first.w)
        var maps = sources
        for (index, node) in network.nodes.enumerated() {
            let inputs = node.inputs.map { maps[$0] }
            maps.append(evaluate(node, inputs, shapes[network.value(ofNode: index)]))
        }
        return maps
    }

    /// Mean cross-entropy with label smoothing of logits `[N,1,1,C]`.
    static func loss(_ logits: ReferenceMap, _ labels: [Int], smoothing: Double) -> Double {
        let c = logits.shape.c
        var total = 0.0
        for (row, label) in labels.enumerated() {
            let line = logits.values[(row * c)..<((row + 1) * c)]
            let top = line.max() ?? 0
            let logSum = top + log(line.reduce(0) { $0 + exp($1 - top) })
            for (k, value) in line.enumerated() {
                let target = (k == label ? 1 - smoothing : 0) + smoothing / Double(c)
                total -= target * (value - logSum)
            }
        }
        return total / Double(labels.count)
    }

    private func evaluate(_ node: Node, _ inputs: [ReferenceMap], _ shape: Shape) -> ReferenceMap {
        func parameter(_ name: String) -> [Double]? { parameters["\(node.name).\(name)"] }
        let src = inputs[0]
        var dst = ReferenceMap(shape)
        switch node.op {
        case let op as Convolution:
            convolve(src, &dst, op.window, groups: op.groups, parameter("weight") ?? [], parameter("bias"))
        case is Linear:
            convolve(src, &dst, Window(kernel: 1), groups: 1, parameter("weight") ?? [], parameter("bias"))
        case let op as BatchNorm: normalise(src, &dst, op, parameter)
        case is ReLU: dst.values = src.values.map { max($0, 0) }
        case is PReLU:
            let slope = parameter("slope") ?? []
            for i in dst.values.indices {
                dst.values[i] = src.values[i] > 0 ? src.values[i] : slope[i % shape.c] * src.values[i]
            }
        case let op as MaxPool: pool(src, &dst, op.window) { taps, _ in taps.max() ?? 0 }
        case let op as AveragePool:
            pool(src, &dst, op.window) { taps, padded in
                taps.reduce(0, +) / Double(op.countIncludePad ? padded : taps.count)
            }
        case is GlobalAveragePool:
            let pixels = src.shape.h * src.shape.w
            for n in 0..<shape.n {
                for c in 0..<shape.c {
                    let sum = (0..<pixels).reduce(0.0) { $0 + src.values[(n * pixels + $1) * shape.c + c] }
                    dst.values[n * shape.c + c] = sum / Double(pixels)
                }
            }
        case is Add, is Mean:
            for i in dst.values.indices {
                dst.values[i] = inputs.reduce(0) { $0 + $1.values[i] } / (node.op is Mean ? Double(inputs.count) : 1)
            }
        case let op as WeightedSum:
            for i in dst.values.indices {
                dst.values[i] = zip(op.weights, inputs).reduce(0) { $0 + $1.0 * $1.1.values[i] }
            }
        case is Concat: dst.values = rows(shape) { row in inputs.flatMap { line($0, row) } }
        case let op as ChannelSlice:
            dst.values = rows(shape) { row in Array(line(src, row)[op.begin..<(op.begin + op.count)]) }
        case let op as ChannelPad:
            dst.values = rows(shape) { row in
                [Double](repeating: 0, count: op.before) + line(src, row) + [Double](repeating: 0, count: op.after)
            }
        case is Dropout:
            let mask = masks[node.name]
            dst.values = src.values.indices.map { src.values[$0] * (training ? mask?[$0] ?? .nan : 1) }
        case let op as StochasticGate:
            let factors = op.channels(shape.c).enumerated().flatMap { part, channels in
                channels.map { _ in op.survivals[part] }
            }
            let mask = masks[node.name]
            dst.values = src.values.indices.map {
                src.values[$0] * (training ? mask?[$0] ?? .nan : factors[$0 % shape.c])
            }
        case let op as Softmax:
            let (length, apart) =
                op.axis == .c ? (shape.c, 1) : op.axis == .w ? (shape.w, shape.c) : (shape.h, shape.w * shape.c)
            dst.values = src.values
            for first in src.values.indices where first / apart % length == 0 {
                let places = (0..<length).map { first + $0 * apart }
                let line = places.map { src.values[$0] }
                let top = line.max() ?? 0
                let sum = line.map { exp($0 - top) }.reduce(0, +)
                for (place, x) in zip(places, line) {
                    dst.values[place] = op.isLog ? x - top - log(sum) : exp(x - top) / sum
                }
            }
        case let op as Flatten:
            let (pixels, c) = (src.shape.h * src.shape.w, src.shape.c)
            dst.values = src.values.indices.map { at in
                let (image, rest) = (at / shape.c * shape.c, at % shape.c)
                return src.values[op.order == .nhwc ? at : image + rest % pixels * c + rest / pixels]
            }
        default: evaluateImported(node, inputs, &dst, parameter)
        }
        return dst
    }

    private func line(_ map: ReferenceMap, _ row: Int) -> [Double] {
        Array(map.values[(row * map.shape.c)..<((row + 1) * map.shape.c)])
    }

    private func rows(_ shape: Shape, _ body: (Int) -> [Double]) -> [Double] { (0..<shape.rows).flatMap(body) }

    private func convolve(
        _ src: ReferenceMap, _ dst: inout ReferenceMap, _ window: Window, groups: Int, _ weight: [Double],
        _ bias: [Double]?
    ) {
        let (k, c) = (dst.shape.c, src.shape.c / groups)
        var index = 0
        for n in 0..<dst.shape.n {
            for y in 0..<dst.shape.h {
                for x in 0..<dst.shape.w {
                    for output in 0..<k {
                        var sum = bias?[output] ?? 0
                        let first = output / (k / groups) * c
                        for r in 0..<window.kernelH {
                            for s in 0..<window.kernelW {
                                let row = y * window.strideH + r * window.dilationH - window.padTop
                                let column = x * window.strideW + s * window.dilationW - window.padLeft
                                for i in 0..<c {
                                    sum +=
                                        src.at(n, row, column, first + i)
                                        * weight[((r * window.kernelW + s) * c + i) * k + output]
                                }
                            }
                        }
                        dst.values[index] = sum
                        index += 1
                    }
                }
            }
        }
    }

    private func normalise(
        _ src: ReferenceMap, _ dst: inout ReferenceMap, _ op: BatchNorm, _ parameter: (String) -> [Double]?
    ) {
        let (c, rows) = (src.shape.c, src.shape.rows)
        for channel in 0..<c {
            var mean = parameter("running_mean")?[channel] ?? .nan
            var variance = parameter("running_variance")?[channel] ?? .nan
            if training, op.mode == .train {
                let column = (0..<rows).map { src.values[$0 * c + channel] }
                mean = column.reduce(0, +) / Double(rows)
                variance = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows)
            }
            let scale = (parameter("gamma")?[channel] ?? 1) / (variance + op.epsilon).squareRoot()
            for row in 0..<rows {
                dst.values[row * c + channel] =
                    (src.values[row * c + channel] - mean) * scale + (parameter("beta")?[channel] ?? 0)
            }
        }
    }

    /// `reduce` gets the taps on the map, and how many lie on the map or its padding.
    private func pool(
        _ src: ReferenceMap, _ dst: inout ReferenceMap, _ window: Window, _ reduce: ([Double], Int) -> Double
    ) {
        let shape = dst.shape
        for index in dst.values.indices {
            let (c, x) = (index % shape.c, index / shape.c % shape.w)
            let (y, n) = (index / shape.c / shape.w % shape.h, index / shape.c / shape.w / shape.h)
            var taps: [Double] = []
            var padded = 0
            for r in 0..<window.kernelH {
                for s in 0..<window.kernelW {
                    let row = y * window.strideH + r * window.dilationH - window.padTop
                    let column = x * window.strideW + s * window.dilationW - window.padLeft
                    if row < src.shape.h + window.padBottom, column < src.shape.w + window.padRight { padded += 1 }
                    guard row >= 0, row < src.shape.h, column >= 0, column < src.shape.w else { continue }
                    taps.append(src.at(n, row, column, c))
                }
            }
            dst.values[index] = reduce(taps, padded)
        }
    }
}

extension ReferenceInterpreter {
    /// Multiply-accumulates of a batch.
    static func macs(_ network: Network, n: Int) throws -> Int {
        let shapes = try network.shapes(n: n)
        return network.nodes.reduce(0) { sum, node in sum + node.op.macs(node.inputs.map { shapes[$0] }) }
    }
}
